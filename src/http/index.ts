// The door `treatyjs/http`: calls to neighbours, and the policies around them, each usable alone.
export type { Authenticator, SecretText } from './auth/authenticator.ts'
export type { Auth } from './auth/create-auth.ts'
export type { OAuth2Auth } from './auth/oauth2.ts'
export type { ApiKeyAuth, BasicAuth, BearerAuth, HmacAuth } from './auth/static-auth.ts'
export type { TwoStepAuth } from './auth/two-step.ts'
export type { CallRequest, CallResponse } from './client/call.ts'
export { createClient } from './client/client.ts'
export type { ClientFallback } from './client/client-fallback.ts'
export type {
  Client,
  ClientLimits,
  ClientOptions,
  EgressOptions,
  RedirectOptions,
} from './client/client-options.ts'
export type { TlsOptions } from './client/connect.ts'
export { idempotencyKeyFor } from './client/idempotency.ts'
export type { PaginateOptions } from './client/paginate.ts'
export type {
  HttpTransport,
  SendProgress,
  WireRequest,
  WireResponse,
} from './client/transport.ts'
export {
  type CallQueue,
  type CallQueueOptions,
  createCallQueue,
  type Drained,
  type QueuedCall,
} from './connectors/call-queue.ts'
export {
  type Connector,
  type OpenConnectorOptions,
  type OperationOptions,
  openConnector,
  type TypedConnector,
} from './connectors/connector.ts'
export {
  type ConnectorConfig,
  type ConnectorContext,
  needsStore,
} from './connectors/connector-config.ts'
export { connectorOptions } from './connectors/connector-options.ts'
export { connectorSchemas } from './connectors/connector-schemas.ts'
export {
  type OpenApiContract,
  type Operation,
  type OperationParameter,
  readOpenApi,
} from './connectors/openapi.ts'
export type { OperationCall, OperationTypes, TypedCall } from './connectors/operation-call.ts'
export { type RecordingOptions, recordTransport, replayTransport } from './connectors/recording.ts'
export { checkAddress, type EgressVerdict } from './egress/check-address.ts'
export { type CheckUrlOptions, checkUrl, type Resolve } from './egress/check-url.ts'
export {
  type HeaderSource,
  parseRateLimit,
  type RateLimitHints,
  type RateLimitState,
} from './headers/rate-limit.ts'
export { parseRetryAfter } from './headers/retry-after.ts'
export {
  type Breaker,
  type BreakerOptions,
  type BreakerSnapshot,
  createBreaker,
} from './resilience/breaker.ts'
export { type Bulkhead, type BulkheadOptions, createBulkhead } from './resilience/bulkhead.ts'
export { type ComposedPolicy, compose } from './resilience/compose.ts'
export {
  createDependency,
  createDependencyRegistry,
  type Dependency,
  type DependencyRegistry,
  type ResilienceContext,
  type ResilienceOptions,
} from './resilience/dependencies.ts'
export { createFallback, type Fallback, type FallbackOptions } from './resilience/fallback.ts'
export { createHedge, type HedgeOptions } from './resilience/hedge.ts'
export type {
  BreakerState,
  Policy,
  PolicyKind,
  ResilienceEvent,
  Work,
} from './resilience/policy.ts'
export {
  type AcquireOptions,
  createRateLimiter,
  type RateFeedback,
  type RateLimiter,
  type RateLimiterOptions,
  type RateLimiterSnapshot,
  type RateLimitPolicy,
} from './resilience/rate-limiter.ts'
export { redisBucketAt } from './resilience/redis-connection.ts'
export { createRetry, type RetryOptions } from './resilience/retry.ts'
export {
  createRetryBudget,
  type RetryBudget,
  type RetryBudgetOptions,
} from './resilience/retry-budget.ts'
export { type DependencySnapshot, runningDependencies } from './resilience/running.ts'
export { CallScope, type Degraded, type RunOptions } from './resilience/scope.ts'
export {
  type BucketGrant,
  type BucketRequest,
  type RedisEval,
  redisBucket,
  type SharedBucket,
  storeBucket,
} from './resilience/shared-bucket.ts'
export { createSharedRateLimiter, type SharedLimiterOptions } from './resilience/shared-limiter.ts'
export { createDeadline, createTimeout, type TimeLimitOptions } from './resilience/time-limit.ts'
