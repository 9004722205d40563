/** Entry point `convergent/react`: hooks on a client, on top of TanStack Query. */
export { type Commanding, useCommand, type UseCommandOptions } from "./use-command.ts";
export {
  type NotShown,
  type Refreshable,
  useEntity,
  useFind,
  type UseFindOptions,
  useSaga,
  useView,
  type UseWatchOptions,
  type Viewed,
  type ViewedSaga,
} from "./use-watched.ts";
