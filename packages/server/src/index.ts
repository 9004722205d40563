/** Entry point `@convergent/server`: a gateway over running services, with and without a port. */
export { createGateway, type Gateway, type GatewayOptions } from "./gateway/gateway.ts";
export { serve, type ServeOptions, type Serving } from "./gateway/server.ts";
