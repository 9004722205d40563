// As much of the peers' surface as the bench calls, so that the bench can be checked where the peers are not installed.
declare module "@dbos-inc/dbos-sdk" {
  export const DBOS: {
    setConfig(config: { name: string; systemDatabaseUrl: string; logLevel: string; runAdminServer?: boolean }): void;
    launch(): Promise<void>;
    shutdown(): Promise<void>;
    registerWorkflow<Args extends unknown[], Result>(
      run: (...args: Args) => Promise<Result>,
      config: { name: string },
    ): (...args: Args) => Promise<Result>;
    startWorkflow<Args extends unknown[], Result>(
      workflow: (...args: Args) => Promise<Result>,
      options: { workflowID: string },
    ): (...args: Args) => Promise<{ getResult(): Promise<Result> }>;
    runStep<Result>(run: () => Promise<Result>, config: { name: string }): Promise<Result>;
  };
}

declare module "@restatedev/restate-sdk" {
  export interface WorkflowContext {
    run<Result>(name: string, run: () => Promise<Result>): Promise<Result>;
  }
  export function workflow(definition: {
    name: string;
    handlers: Readonly<Record<string, (context: WorkflowContext, input: unknown) => Promise<unknown>>>;
  }): unknown;
  export function serve(options: { services: readonly unknown[]; port: number }): Promise<number>;
}
