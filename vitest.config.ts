// One configuration for every test of the repository. Packages are read as sources, by the condition `convergent-source`.
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

// Vitest hands these to Node for what it does not load itself: "import" among them would give `require` the wrong files.
const conditions = ["convergent-source", "node"];

/** The suites that take a minute and more: begun last, one of them would run alone in the end. */
const longest: readonly string[] = [
  "saga-kills",
  "rebuild-crashes",
  "stores/stores",
  "experiments",
  "stores/crashes",
  "amendment",
  "docs/pages",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification): boolean => longest.some((name) => moduleId.endsWith(`${name}.test.ts`));
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: [
      "packages/*/src/**/*.test.ts",
      "examples/*/src/**/*.test.ts",
      "examples/*/browser/**/*.test.ts",
      "tests/**/*.test.ts",
      "tools/**/*.test.ts",
    ],
    exclude: ["**/node_modules/**", "**/dist/**"],
    globalSetup: ["tests/services.ts"],
    // Tests wait as much as they compute: three at a time keep two cores busy.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    pool: "forks",
    execArgv: ["--conditions=convergent-source"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000,
    allowOnly: false,
    // What is polled for comes within milliseconds, but for a machine that is busy with other things.
    expect: { poll: { timeout: 10_000 } },
    coverage: {
      provider: "v8",
      include: ["packages/*/src/**/*.ts"],
      exclude: ["**/*.test.ts", "**/*.fixture.ts"],
    },
  },
});
