/** Entry point `@convergent/server`: a gateway over running services, with and without a port. */
export type { AccessOptions } from "./gateway/access.ts";
export type { Authenticate, Caller, Doubt, Sender } from "./gateway/caller.ts";
export type { CorsOptions } from "./gateway/cors.ts";
export { createGateway, type Gateway, type GatewayOptions } from "./gateway/gateway.ts";
export { jwt, type JwtAlgorithm, type JwtKeys, type JwtOptions } from "./gateway/jwt.ts";
export type { Limits } from "./gateway/limits.ts";
export type {
  Allowed,
  Asked,
  CommandAsked,
  EntityAsked,
  Policy,
  PolicyTable,
  QueryAsked,
  RowsAsked,
  Rule,
  SagaAsked,
  SagaCancelAsked,
  SagaOperateAsked,
  SagaReadAsked,
  SagaSignalAsked,
  SagaStartAsked,
  StatusAsked,
  Verdict,
  ViewAsked,
  VoidAsked,
} from "./gateway/policy.ts";
export type { LiveOptions } from "./live/live.ts";
export type { TextConnection, TextSocket } from "./live/text-socket.ts";
export type { LogOption } from "./gateway/request-log.ts";
export { serve, type ServeOptions, type Serving } from "./gateway/server.ts";
