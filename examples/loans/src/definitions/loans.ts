/** The service `loans`: applications and three views of them. A definition; it opens nothing. */
import { service } from "convergent";
import { application } from "./application.ts";
import { applicationsByStatus } from "./applications-by-status.ts";
import { handlingTime } from "./handling-time.ts";
import { workByResource } from "./work-by-resource.ts";

export const loans = service("loans", { parts: { application, applicationsByStatus, handlingTime, workByResource } });
