export type { Draft } from './draft.ts'
export { draftOf, drafts, isOldDraft, uriOfDraft } from './draft.ts'
export { formatChecks, isDateTime, isUuid } from './formats.ts'
export type { Message, Metadata, Priority, Wire } from './message.ts'
export {
  batchType,
  domainOf,
  isMessageType,
  normalizePriority,
  schemaVersionDefault,
} from './message-grammar.ts'
export type {
  CommandValidator,
  EventValidator,
  MessageValidator,
  MessageValidatorOptions,
} from './message-validator.ts'
export { createMessageValidator, permittedSources } from './message-validator.ts'
export type * from './model.ts'
export type { Profile } from './profiles.ts'
export { profiles } from './profiles.ts'
export type { CompiledSchema, CompileOptions } from './validator.ts'
export { compileSchema } from './validator.ts'
export type { View } from './views.ts'
export { producerView, readerView, viewOf } from './views.ts'
