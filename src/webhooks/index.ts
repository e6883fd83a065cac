/** Webhooks: signatures, receiving, sending. The door `treatyjs/webhooks`. */

export {
  type ConfigMistake,
  pathOfSource,
  webhookContractMistakes,
  webhookMistakes,
} from './config/check-config.ts'
export {
  type OpenWebhooksOptions,
  openReceiver,
  openWebhooks,
  type Webhooks,
} from './config/open-webhooks.ts'
export type {
  EndpointConfig,
  SenderConfig,
  SourceConfig,
  WebhooksConfig,
} from './config/webhooks-config.ts'
export type { HeaderFields } from './header-fields.ts'
export {
  fastifyHooks,
  fetchHandler,
  type HandlerOptions,
  nodeHandler,
  webhookServerOptions,
} from './inbound/adapters.ts'
export type { InboundAnswer, InboundDelivery, InboundRequest } from './inbound/delivery.ts'
export type { Handshake } from './inbound/handshake.ts'
export {
  createInbox,
  type Inbox,
  type InboxDeadLetter,
  type InboxOptions,
} from './inbound/inbox.ts'
export { type ReceivedBytes, receivedBytes } from './inbound/received-bytes.ts'
export { createReceiver, type Receiver, type ReceiverOptions } from './inbound/receiver.ts'
export type { ReceiverEvent, ReceiverStats, SourceStats } from './inbound/receiver-events.ts'
export type { SourceLimits, SourceOptions } from './inbound/source.ts'
export type { EgressOptions } from './outbound/egress.ts'
export type { Endpoint, EndpointOptions, EndpointStatus } from './outbound/endpoint.ts'
export { matchesType } from './outbound/event-types.ts'
export { filterFindings } from './outbound/filter.ts'
export type { DisableOptions } from './outbound/health.ts'
export type { Post, PostRequest, PostResult } from './outbound/post.ts'
export { type CatalogueEntry, webhookCatalogue } from './outbound/receiver-catalogue.ts'
export { scheduleDefault } from './outbound/schedule.ts'
export { newSecret } from './outbound/sealing.ts'
export { createSender } from './outbound/sender.ts'
export type { Attempt, AttemptOutcome, SenderEvent } from './outbound/sender-events.ts'
export type {
  Sender,
  SenderOptions,
  SenderStats,
  SendOptions,
  Sent,
} from './outbound/sender-options.ts'
export type { Proof } from './outbound/verification.ts'
export type {
  HmacScheme,
  RefusalReason,
  Scheme,
  SchemeName,
  SignOptions,
  Verdict,
  VerifyOptions,
} from './scheme.ts'
export { sign, verify } from './verify.ts'
