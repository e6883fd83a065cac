/** The HTTP server: API, health, metrics, descriptions of itself. */

export { statsView } from './api-routes.ts'
export { type ContractSummary, contractHash, contractSummary } from './contract-view.ts'
export { deadDetail, deadSummary } from './dead-view.ts'
export { isLoopback } from './guard.ts'
export { type ApiKey, createKeyRing, type KeyScope, keyScopes } from './keys.ts'
export { createServer, type Server, type ServerOptions } from './server.ts'
export { createWebhookMetrics, type WebhookMetrics } from './webhook-metrics.ts'
export { registerWebhooks, type WebhookRoutes } from './webhook-routes.ts'
