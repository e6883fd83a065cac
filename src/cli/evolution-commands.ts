import type { CommandSpec } from './command.ts'
import { contracts, store, transport } from './command-options.ts'

/** The commands about contracts that change: what is wrong, what breaks, who must agree, what may be deployed. */
export const evolutionCommands = {
  check: {
    summary: 'Find every mistake in contracts, with its place',
    positionals: { path: { summary: 'File or folder. Default: --contracts', optional: true } },
    options: {
      contracts,
      against: {
        kind: 'text',
        value: 'GIT-REF|DIR|URL',
        summary: 'Compare with what was: a revision, a folder, or a registry',
      },
      format: {
        kind: 'text',
        value: 'FORMAT',
        choices: ['text', 'json', 'github', 'sarif'],
        summary: 'Default text; json is the same as --json',
      },
      fix: { kind: 'flag', summary: 'Write what is missing and safe: `since` of consumers' },
    },
    examples: [
      ['treaty check', 'all contracts of this project; exit 3 when there are errors'],
      ['treaty check --against HEAD', 'what a change breaks, and whom it hurts'],
      ['treaty check --fix', 'write `since` where a consumer entry lacks it'],
      ['treaty check contracts/orders.yaml --json', 'one file, for a program'],
    ],
  },
  compat: {
    summary: 'Say whether every message of one schema is accepted by another',
    description:
      'A and B are JSON Schemas, or contracts. Without --policy the schemas are taken as they are written, and every instance of A must be accepted by B; with it, A is the earlier version and B the later. --batch asks about many pairs: lines { id, a, b, draft?, draftA?, draftB? }, answered in order.',
    positionals: {
      a: { summary: 'Schema or contract, the earlier version', optional: true },
      b: { summary: 'Schema or contract, the later version', optional: true },
    },
    options: {
      policy: {
        kind: 'text',
        value: 'POLICY',
        choices: ['strict', 'evolvable', 'confluent-strict', 'confluent-lenient'],
        summary: 'Default: strict for schemas, the own of contracts',
      },
      mode: {
        kind: 'text',
        value: 'MODE',
        choices: [
          'backward',
          'backward-transitive',
          'forward',
          'forward-transitive',
          'full',
          'full-transitive',
          'none',
        ],
        summary: 'Default: backward for schemas, the own of contracts',
      },
      draft: {
        kind: 'text',
        value: 'DRAFT',
        choices: ['04', '06', '07', '2019-09', '2020-12'],
        summary: 'Where a schema does not say',
      },
      budget: { kind: 'duration', value: 'MS', summary: 'Time for one pair. Default 1500ms' },
      batch: { kind: 'text', value: 'FILE|-', summary: 'Pairs, one a line; - is standard input' },
    },
    examples: [
      ['treaty compat old.json new.json', 'exit 0 when compatible, 3 when not or not known'],
      ['treaty compat --batch pairs.jsonl --json', 'one answer a line, in order'],
    ],
    stream: 'lines',
    streamsWith: 'batch',
  },
  gate: {
    summary: 'Run the quality gate: what must be so before a release, computed from evidence',
    description:
      'Versioning, impacts on all consumers, reviews, error handling, breaking changes, examples. What could not be checked has not passed. Rules that gate.block of the contract does not name only warn.',
    positionals: { path: { summary: 'File or folder. Default: --contracts', optional: true } },
    options: {
      contracts,
      against: {
        kind: 'text',
        value: 'GIT-REF|DIR|URL',
        summary: 'The earlier versions: a revision, a folder, or a registry',
      },
    },
    examples: [['treaty gate --against origin/main', 'exit 3 when a blocking check fails']],
  },
  review: {
    summary: 'Record that a consumer has reviewed a contract as it is now',
    description:
      'Writes into the list `reviews` of the file, bound to the content: a later edit of what was agreed voids it.',
    positionals: {
      id: { summary: 'Contract id. Default: the only one with the consumer', optional: true },
    },
    options: {
      consumer: { kind: 'text', value: 'NAME', summary: 'The consumer that has reviewed it' },
      by: { kind: 'text', value: 'WHO', summary: 'Who has read it: a name or an address' },
      contracts,
    },
    examples: [['treaty review --consumer billing --by ada@example.com', 'then commit the file']],
  },
  'can-i-deploy': {
    summary: 'Say whether a version of a service fits what runs in an environment',
    description:
      'Proves, message by message, that every counterpart reads what this version writes and the reverse, for each version that runs. What is not known blocks in production and warns elsewhere; pending consumers never block.',
    positionals: {
      service: { summary: 'Name of the service' },
      version: { summary: 'Its version that is to be deployed' },
    },
    options: {
      to: { kind: 'text', value: 'ENV', summary: 'Environment, such as prod' },
      newEnvironment: {
        kind: 'flag',
        summary: 'The environment may be one that no registry knows yet: nothing runs there',
      },
      registry: {
        kind: 'text',
        value: 'URL|FILE',
        summary: 'A registry, or the store of a local one. Default: --store',
      },
      store,
      contracts,
      transport,
    },
    examples: [
      [
        'treaty can-i-deploy billing 4.1.0 --to prod',
        'exit 0 when it may, 3 when it must not, 4 when nobody knows prod',
      ],
    ],
  },
  migration: {
    summary: 'Show how far a change of format has come, and when old fields can go',
    options: {
      contracts,
      against: {
        kind: 'text',
        value: 'GIT-REF|DIR|URL',
        summary: 'The earlier versions: a revision, a folder, or a registry',
      },
    },
    examples: [
      ['treaty migration', 'deprecated events and fields, and who still needs them'],
      ['treaty migration --against v1.0.0', 'with the steps from that version to this one'],
    ],
  },
} as const satisfies Record<string, CommandSpec>
