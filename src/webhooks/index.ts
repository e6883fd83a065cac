/** Webhooks: signatures, receiving, sending. The door `treatyjs/webhooks`. */

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
export { createReceiver, type Receiver, type ReceiverOptions } from './inbound/receiver.ts'
export type { ReceiverEvent, ReceiverStats, SourceStats } from './inbound/receiver-events.ts'
export type { SourceLimits, SourceOptions } from './inbound/source.ts'
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
