import type { CommandSpec, OptionSpec } from './command.ts'

const contracts = {
  kind: 'list',
  value: 'PATH',
  summary: 'Contract file, folder or pack:NAME; repeatable. Default ./contracts',
} as const satisfies OptionSpec
const registry = {
  kind: 'text',
  value: 'URL',
  summary: 'Where treaty serve runs, such as http://127.0.0.1:4400',
} as const satisfies OptionSpec
const key = {
  kind: 'text',
  value: 'REFERENCE',
  summary: 'API key, as secret://env/NAME or secret://file/PATH. Default: none',
} as const satisfies OptionSpec
const environment = {
  kind: 'text',
  value: 'ENV',
  summary: 'Environment, such as prod',
} as const satisfies OptionSpec

/** Commands that talk to a registry elsewhere. */
export const registryCommands = {
  'contract push': {
    summary: 'Register contracts, or what a consumer needs, with a registry',
    description:
      'Without --consumes it registers the contracts: the same content again changes nothing, a version with other content is refused, and so is one that breaks an earlier one. With --consumes it registers the entry of a consumer that lives in a repository of its own: a YAML file with contract, and the consumers as a contract file has them.',
    options: {
      registry,
      key,
      contracts,
      consumes: { kind: 'text', value: 'FILE', summary: 'File with the entry of a consumer' },
      serviceVersion: {
        kind: 'text',
        value: 'VERSION',
        summary: 'Version of the consumer, a commit for example; with --consumes',
      },
      to: { ...environment, summary: 'Environment that the consumer runs in; with --consumes' },
      dryRun: { kind: 'flag', summary: 'Judge, but register nothing; without --consumes' },
    },
    examples: [
      ['treaty contract push --registry http://127.0.0.1:4400', 'the contracts of this project'],
      [
        'treaty contract push --registry URL --consumes consumes.yaml --service-version abc --to prod',
        'what this consumer needs',
      ],
    ],
  },
  'deployment record': {
    summary: 'Tell a registry that a version of a service runs in an environment',
    description:
      'Several versions may run at once. The versions of the contracts that name the service go along.',
    positionals: {
      service: { summary: 'Name of the service' },
      version: { summary: 'Its version' },
    },
    options: { to: environment, registry, key, contracts },
    examples: [
      ['treaty deployment record billing 4.1.0 --to prod --registry URL', 'after it was deployed'],
    ],
  },
  'deployment end': {
    summary: 'Tell a registry that a version of a service runs no more',
    positionals: {
      service: { summary: 'Name of the service' },
      version: { summary: 'Its version' },
    },
    options: { to: environment, registry, key },
    examples: [
      ['treaty deployment end billing 4.0.0 --to prod --registry URL', 'after it was taken down'],
    ],
  },
} as const satisfies Record<string, CommandSpec>
