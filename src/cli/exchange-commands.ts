import type { CommandSpec, OptionSpec } from './command.ts'
import { contracts } from './command-options.ts'

const out = {
  kind: 'text',
  value: 'DIR',
  summary: 'Folder for ID.yaml, which must not exist yet. Default: standard output',
} as const satisfies OptionSpec

/** Commands that exchange contracts with other formats; see `commandTable`. */
export const exchangeCommands = {
  'export asyncapi': {
    summary: 'Write a contract as an AsyncAPI 3.1 document',
    description:
      'For all parties, or for one of them. What AsyncAPI has no word for stands in x-treaty extensions, so that importing it gives the contract again.',
    positionals: {
      id: { summary: 'Contract id. Default: the only one of the project', optional: true },
    },
    options: {
      service: {
        kind: 'text',
        value: 'NAME',
        summary: 'Only what this producer, consumer or handler does. Default: all parties',
      },
      out: {
        kind: 'text',
        value: 'FILE',
        summary: 'File to write; JSON where it ends so. Default: YAML to standard output',
      },
      contracts,
    },
    examples: [
      ['treaty export asyncapi shop.orders --out asyncapi.yaml', 'the whole contract'],
      ['treaty export asyncapi --service billing', 'the document of one application'],
    ],
  },
  'import asyncapi': {
    summary: 'Make a contract of an AsyncAPI document, 3.x or 2.x',
    description:
      'References may lead to files in the folder of the document; nothing is fetched. What a contract has no place for is a finding each.',
    positionals: { file: { summary: 'AsyncAPI document, YAML or JSON' } },
    options: { out },
    examples: [['treaty import asyncapi asyncapi.yaml --out contracts', 'then treaty check']],
  },
  'import jsonschema': {
    summary: 'Make a draft contract of a JSON Schema',
    positionals: { file: { summary: 'JSON Schema, JSON or YAML' } },
    options: { out },
    examples: [['treaty import jsonschema order.schema.json --out contracts', 'one event']],
  },
  'import confluent': {
    summary: 'Make a draft contract of the subjects of a schema registry',
    positionals: {
      source: { summary: 'What GET /schemas answers, as a file, or the URL of a registry here' },
    },
    options: { out },
    examples: [
      ['treaty import confluent schemas.json --out contracts', 'the latest version of each'],
      ['treaty import confluent http://127.0.0.1:8081', 'a registry on this machine'],
    ],
  },
} as const satisfies Record<string, CommandSpec>
