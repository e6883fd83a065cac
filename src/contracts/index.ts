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
export type { BatchItem } from './batch.ts'
export type { BuildOptions, MessageBuilder, MessageBuilderOptions } from './builder.ts'
export { createMessageBuilder } from './builder.ts'
export { createBundler } from './bundle.ts'
export { placeAt } from './code-frame.ts'
export type { Criterion } from './completeness.ts'
export { contractSteps, qualityGate } from './completeness.ts'
export type {
  ContractInput,
  DataOf,
  SchemaInput,
  StandardSchema,
  TypesOf,
} from './contract-input.ts'
export { contractToSource, contractToYaml } from './contract-yaml.ts'
export { decodeJson, nestsTooDeep } from './decode-json.ts'
export type { ContractTypesOf, DefineOptions, TypedContract } from './define.ts'
export { defineContract } from './define.ts'
export { nearest, suggest } from './did-you-mean.ts'
export { contractDigest } from './digest.ts'
export type { Domain } from './domains.ts'
export { domainsOf } from './domains.ts'
export type { DualWriter } from './downcast.ts'
export { createDualWriter } from './downcast.ts'
export type { Draft } from './draft.ts'
export { draftOf, drafts, isOldDraft, uriOfDraft } from './draft.ts'
export { decodeEnvelope, encodeEnvelope } from './envelope.ts'
export { integrationSchema } from './envelope-schema.ts'
export { displayPath } from './file-text.ts'
export { formatChecks, isDateTime, isUuid } from './formats.ts'
export { type ConnectorSchemas, generateTypes, type OperationSchemas } from './generate-types.ts'
export { jsonSource, parseJson, placeInJson } from './json-source.ts'
export type { LoadedContracts, LoadOptions } from './loader.ts'
export { loadContracts, loadContractsSync, readContractText } from './loader.ts'
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
export { gateRules, metaSchema } from './meta-schema.ts'
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
export { consumerView, consumerViews, needView } from './needs.ts'
export type { PackName } from './pack.ts'
export { loadPack, packFolder, packNames } from './pack.ts'
export { placeInFile } from './place-in-file.ts'
export type { Profile } from './profiles.ts'
export { profiles } from './profiles.ts'
export { parseRenderedContract, renderContract } from './render-markdown.ts'
export type { SchemaError } from './schema-error.ts'
export { schemaFindings } from './schema-findings.ts'
export { namedSchema } from './schema-name.ts'
export { fieldAt } from './schema-paths.ts'
export type { References } from './schema-references.ts'
export { readReferences } from './schema-references.ts'
export { createSchemaStore } from './schema-store.ts'
export type { SemanticVersion, VersionRange } from './semver.ts'
export { compareVersions, parseRange, parseVersion, satisfies } from './semver.ts'
export type { Path, Place, Source } from './source.ts'
export type { Upcaster } from './upcast.ts'
export { createUpcaster, jsonataProblem } from './upcast.ts'
export type { MessageVerdict, ValidateMessageOptions } from './validate-message.ts'
export { judgeMessage, validateMessage } from './validate-message.ts'
export type { CompiledSchema, CompileOptions } from './validator.ts'
export { compileSchema } from './validator.ts'
export type { View } from './views.ts'
export { producerView, readerView, viewOf } from './views.ts'
export { envelopeSchema } from './wire-schema.ts'
export { parseYaml } from './yaml-source.ts'
