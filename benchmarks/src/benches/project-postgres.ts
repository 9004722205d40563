// A view on PostgreSQL over a million events beside emmett-postgresql's projections: fsync on, the same events of 300 bytes, one
// server a sample.
import type { Bench, Subject } from "../bench.ts";
import type { Way } from "../postgres/project.ts";

const figures = { rate: "events/s" };

function emmett(way: Way): Subject {
  return {
    name: `emmett, projector, ${way}`,
    figures,
    load: async () => (await import("../postgres/project.ts")).emmettPostgresProjection({ way }),
  };
}

export const projectPostgres: Bench = {
  name: "project-postgres",
  summary: "a view of 10,000 documents over 1,000,000 events on PostgreSQL, beside emmett-postgresql's projector",
  groups: [
    {
      name: "project",
      subjects: [
        { name: "convergent, view", figures, load: async () => (await import("../postgres/project.ts")).convergentProjection },
        emmett("raw SQL"),
        emmett("pongo"),
      ],
    },
  ],
  claims: [
    {
      label: "project",
      basis: "events/s into a view with its checkpoint, by the faster of its two ways",
      floor: 30,
      aim: 60,
      ratio: (median) =>
        median("convergent, view/rate") / Math.max(median("emmett, projector, raw SQL/rate"), median("emmett, projector, pongo/rate")),
    },
  ],
};
