export type { ConfluentOptions, ExportAsyncApiOptions, Imported } from './asyncapi/index.ts'
export {
  asyncApiExtensionSchema,
  asyncApiVersion,
  exportAsyncApi,
  importAsyncApi,
  importConfluent,
  importConfluentText,
  importJsonSchema,
} from './asyncapi/index.ts'
export type { Criterion } from './check/completeness.ts'
export { contractSteps, qualityGate } from './check/completeness.ts'
export type { Domain } from './check/domains.ts'
export { domainsOf } from './check/domains.ts'
export type { ContractTypesOf, DefineOptions, TypedContract } from './define.ts'
export { defineContract } from './define.ts'
export { nearest, suggest } from './did-you-mean.ts'
export { decodeEnvelope, encodeEnvelope } from './envelope/envelope.ts'
export { integrationSchema } from './envelope/envelope-schema.ts'
export { envelopeSchema } from './envelope/wire-schema.ts'
export { contractDigest } from './evolve/digest.ts'
export type { DualWriter } from './evolve/downcast.ts'
export { createDualWriter } from './evolve/downcast.ts'
export { consumerView, consumerViews, needView } from './evolve/needs.ts'
export type { Upcaster } from './evolve/upcast.ts'
export { createUpcaster, jsonataProblem } from './evolve/upcast.ts'
export type { LoadedContracts, LoadOptions } from './loader.ts'
export { loadContracts, loadContractsSync, readContractText } from './loader.ts'
export type { BatchItem } from './message/batch.ts'
export type { BuildOptions, MessageBuilder, MessageBuilderOptions } from './message/builder.ts'
export { createMessageBuilder } from './message/builder.ts'
export type { Message, Metadata, Priority, Wire } from './message/message.ts'
export {
  batchType,
  domainOf,
  isMessageType,
  normalizePriority,
  schemaVersionDefault,
} from './message/message-grammar.ts'
export type {
  CommandValidator,
  EventValidator,
  MessageValidator,
  MessageValidatorOptions,
} from './message/message-validator.ts'
export { createMessageValidator, permittedSources } from './message/message-validator.ts'
export type { Profile } from './message/profiles.ts'
export { profiles } from './message/profiles.ts'
export type { MessageVerdict, ValidateMessageOptions } from './message/validate-message.ts'
export { judgeMessage, validateMessage } from './message/validate-message.ts'
export type { View } from './message/views.ts'
export { producerView, readerView, viewOf } from './message/views.ts'
export type {
  Channel,
  CommandDefinition,
  ConsumedEvent,
  Consumer,
  Contract,
  ContractStatus,
  ContractTypes,
  DeadLetterPolicy,
  Deprecation,
  EnvelopeKind,
  EventDefinition,
  Evolution,
  Example,
  JsonSchema,
  Ordering,
  Owner,
  Pattern,
  PatternStyle,
  Producer,
  RetryPolicy,
  Review,
  Sla,
  Upcast,
  Waiver,
} from './model.ts'
export type { PackName } from './pack.ts'
export { loadPack, packFolder, packNames } from './pack.ts'
export type {
  ContractInput,
  DataOf,
  SchemaInput,
  StandardSchema,
  TypesOf,
} from './read/contract-input.ts'
export { contractToSource, contractToYaml } from './read/contract-yaml.ts'
export { gateRules, metaSchema } from './read/meta-schema.ts'
export { createBundler } from './schema/bundle.ts'
export type { Draft } from './schema/draft.ts'
export { draftOf, drafts, isOldDraft, uriOfDraft } from './schema/draft.ts'
export { formatChecks, isDateTime, isUuid } from './schema/formats.ts'
export type { SchemaError } from './schema/schema-error.ts'
export { schemaFindings } from './schema/schema-findings.ts'
export { namedSchema } from './schema/schema-name.ts'
export { fieldAt } from './schema/schema-paths.ts'
export type { References } from './schema/schema-references.ts'
export { readReferences } from './schema/schema-references.ts'
export { createSchemaStore } from './schema/schema-store.ts'
export type { CompiledSchema, CompileOptions } from './schema/validator.ts'
export { compileSchema } from './schema/validator.ts'
export type { SemanticVersion, VersionRange } from './semver.ts'
export { compareVersions, parseRange, parseVersion, satisfies } from './semver.ts'
export { placeAt } from './source/code-frame.ts'
export { decodeJson, nestsTooDeep } from './source/decode-json.ts'
export { displayPath } from './source/file-text.ts'
export { jsonSource, parseJson, placeInJson } from './source/json-source.ts'
export { placeInFile } from './source/place-in-file.ts'
export type { Path, Place, Source } from './source/source.ts'
export { parseYaml } from './source/yaml-source.ts'
export {
  type ConnectorSchemas,
  generateTypes,
  type OperationSchemas,
} from './write/generate-types.ts'
export { parseRenderedContract, renderContract } from './write/render-markdown.ts'
