import type { OptionSpec } from './command.ts'

export const contracts = {
  kind: 'list',
  value: 'PATH',
  summary: 'Contract file, folder or pack:NAME; repeatable. Default ./contracts',
} as const satisfies OptionSpec
export const transport = {
  kind: 'text',
  value: 'URL',
  summary: 'sqlite:FILE, memory:, or a broker. Default sqlite:./treaty.db',
} as const satisfies OptionSpec
export const profile = {
  kind: 'text',
  value: 'NAME',
  choices: ['default', 'seed-compat', 'strict-ids'],
  summary: 'How strictly ids are read. Default: default',
} as const satisfies OptionSpec
export const service = {
  kind: 'text',
  value: 'NAME',
  summary: 'The producer that speaks. Default: the only one that the contract names',
} as const satisfies OptionSpec
export const store = {
  kind: 'text',
  value: 'FILE|URL',
  summary: 'Where state is kept: a file or sqlite:FILE. Default: beside the embedded broker',
} as const satisfies OptionSpec
