import { brokerRows } from './broker-rows.ts'
import type { CommandSpec, OptionSpec } from './command.ts'
import { contracts, profile, service, store, transport } from './command-options.ts'
import { evolutionCommands } from './evolution-commands.ts'
import { exchangeCommands } from './exchange-commands.ts'
import { registryCommands } from './registry-commands.ts'
import { webhookRows } from './webhook-rows.ts'

const deadConsumer = {
  kind: 'text',
  value: 'NAME',
  summary: 'Only dead letters of this consumer',
} as const satisfies OptionSpec
const serving = {
  port: {
    kind: 'integer',
    value: 'N',
    min: 0,
    max: 65_535,
    summary: 'Port; 0 takes a free one. Default 4400',
  },
  host: {
    kind: 'text',
    value: 'H',
    summary: 'Address to listen on; another than loopback needs server.keys. Default 127.0.0.1',
  },
  confluentAt: {
    kind: 'text',
    value: 'PATH',
    summary:
      'Path of the Confluent-compatible API; / for clients without paths. Default /confluent',
  },
  store,
  contracts,
  transport,
} as const satisfies Record<string, OptionSpec>

/** Every command, without its code: help, parsing, documentation and completion are made from it. */
export const commandTable = {
  ...registryCommands,
  ...evolutionCommands,
  ...exchangeCommands,
  init: {
    summary: 'Make a project that runs: contract, handlers, configuration',
    positionals: {
      directory: { summary: 'Folder to fill. Default: the current one', optional: true },
    },
    options: {
      yes: { kind: 'flag', summary: 'Ask nothing, take the defaults' },
      name: {
        kind: 'text',
        value: 'NAME',
        summary: 'Name of the project. Default: that of the folder',
      },
    },
    examples: [
      [
        'treaty init shop --yes',
        'a project in ./shop; then: cd shop && npm install && npx treaty dev',
      ],
    ],
  },
  dev: {
    summary: 'Run everything, reloading when a contract or handler changes',
    options: { ...serving, fresh: { kind: 'flag', summary: 'Begin with an empty store' } },
    examples: [
      ['treaty dev', 'contracts, handlers, broker and API of this project in one process'],
    ],
    stream: 'live',
  },
  start: {
    summary: 'Run everything: broker, handlers, services and API',
    description:
      'Prints `ready http://…` once it answers. Ctrl-C drains. A second start on the same store goes on where the first stopped.',
    options: { ...serving, fresh: { kind: 'flag', summary: 'Begin with an empty store' } },
    examples: [['treaty start --port 4411 --store shop.db', 'on another port and file']],
    stream: 'live',
  },
  serve: {
    summary: 'Run the API and the registry, without handlers',
    options: serving,
    examples: [
      ['treaty serve --host 0.0.0.0', 'for others; needs server.keys in the configuration'],
    ],
    stream: 'live',
  },
  'contract show': {
    summary: 'List the contracts, or show one of them',
    positionals: { id: { summary: 'Contract id. Default: a list of all', optional: true } },
    options: { contracts },
    examples: [
      [
        'treaty contract show shop.orders',
        'who produces, who consumes, and what happens on failure',
      ],
    ],
  },
  'contract docs': {
    summary: 'Write a contract as Markdown, in the seven sections',
    positionals: { id: { summary: 'Contract id. Default: all', optional: true } },
    options: {
      contracts,
      out: {
        kind: 'text',
        value: 'DIR',
        summary: 'Folder for one file for each contract. Default: standard output',
      },
    },
    examples: [
      ['treaty contract docs shop.orders > orders.md', 'one contract, to standard output'],
    ],
  },
  gen: {
    summary: 'Write TypeScript types for the contracts, and for the operations of connectors',
    options: {
      contracts,
      out: {
        kind: 'text',
        value: 'FILE',
        summary: 'File to write; - is standard output. Default treaty.gen.d.ts',
      },
    },
    examples: [
      [
        'treaty gen',
        "then openBus<Contracts>() knows events, data and consumers, openConnector<Connectors['shop']>() operations",
      ],
    ],
  },
  validate: {
    summary: 'Say whether messages satisfy their contract, and where not',
    description: 'Takes one message, an array of messages, or one message a line.',
    positionals: { file: { summary: 'File with messages; - is standard input' } },
    options: {
      contracts,
      pack: {
        kind: 'text',
        value: 'NAME',
        summary: 'Contracts that Treaty ships: agent-platform, a2a-v1, github-webhooks',
      },
      profile,
    },
    examples: [
      ['treaty validate message.json', 'against the contracts of this project'],
      [
        'treaty validate - --pack agent-platform --json < message.json',
        'against the 25 agent events',
      ],
    ],
  },
  publish: {
    summary: 'Publish one message, or one for each line of data',
    description:
      'Each line of the output follows the durable acknowledgement of its message. With --jsonl a bad line is refused and named, and the rest goes on.',
    positionals: { event: { summary: 'Name of the event' } },
    options: {
      data: {
        kind: 'text',
        value: 'JSON|@FILE|-',
        summary: 'The data: JSON, @ and a file, or - for standard input',
      },
      jsonl: { kind: 'flag', summary: 'Each line of --data is the data of one message' },
      key: { kind: 'text', value: 'K', summary: 'Partition key, where the contract names none' },
      id: { kind: 'text', value: 'ID', summary: 'Message id, to send again what was sent before' },
      priority: {
        kind: 'text',
        value: 'LEVEL',
        choices: ['low', 'normal', 'high', 'critical'],
        summary: 'Default normal',
      },
      ttl: {
        kind: 'duration',
        value: 'DURATION',
        summary: 'Time after which it must not be handled any more',
      },
      delay: {
        kind: 'duration',
        value: 'DURATION',
        summary: 'Time before which it is not handed out',
      },
      correlationId: { kind: 'text', value: 'ID', summary: 'Correlation id. Default: a new one' },
      service,
      contracts,
      transport,
      profile,
    },
    examples: [
      [`treaty publish order.placed --data '{"orderId":"o-1"}'`, 'one message'],
      [
        'treaty publish order.placed --data - --jsonl < orders.jsonl',
        'many, as fast as the broker takes them',
      ],
    ],
    stream: 'lines',
  },
  consume: {
    summary: 'Hand messages of a consumer to standard output or to a command',
    description:
      'A message is acknowledged after its line is written out; with --exec after the command has ended with 0. Another exit is a failed attempt, tried again as the contract says. Ctrl-C finishes what has begun and gives the rest back.',
    positionals: { consumer: { summary: 'Name of the consumer, as the contract has it' } },
    options: {
      events: {
        kind: 'list',
        value: 'E,…',
        summary:
          'Only these events, also as patterns (order.*, order.#); the others are acknowledged unseen',
      },
      max: { kind: 'integer', value: 'N', min: 1, summary: 'End after N messages' },
      idleExit: {
        kind: 'duration',
        value: 'MS',
        summary: 'End when nothing has come for so long and nothing waits for a retry',
      },
      exec: {
        kind: 'text',
        value: 'CMD',
        summary: 'Run CMD by /bin/sh -c for each message, which it gets on standard input',
      },
      concurrency: {
        kind: 'integer',
        value: 'N',
        min: 1,
        max: 10_000,
        summary: 'Messages at work at the same time. Default 16',
      },
      drain: {
        kind: 'duration',
        value: 'DURATION',
        summary: 'How long Ctrl-C waits for what has begun. Default 25s',
      },
      contracts,
      transport,
      profile,
    },
    examples: [
      ['treaty consume billing', 'print messages as they come'],
      ['treaty consume billing --exec ./invoice.sh --max 10', 'ten messages, each to a program'],
      ['treaty consume billing --idle-exit 2s --json | jq .data', 'what is there, then end'],
    ],
    stream: 'lines',
  },
  tail: {
    summary: 'Show messages as they are published, without consuming them',
    options: {
      event: { kind: 'text', value: 'E', summary: 'Only this event' },
      correlationId: { kind: 'text', value: 'ID', summary: 'Only this correlation id' },
      from: {
        kind: 'text',
        value: 'INSTANT',
        summary:
          'Begin with what is still kept since then: earliest, -1h, or a date. Default: only what comes',
      },
      filter: {
        kind: 'text',
        value: 'CEL',
        summary: 'Only where this is true: over data, event, key, id, source, metadata and more',
      },
      all: { kind: 'flag', summary: 'As --from earliest' },
      max: { kind: 'integer', value: 'N', min: 1, summary: 'End after N messages' },
      contracts,
      transport,
    },
    examples: [
      ['treaty tail --event order.placed', 'look without touching'],
      [
        `treaty tail --from -1h --filter 'data.total.amount > 10000'`,
        'the large orders of an hour',
      ],
    ],
    stream: 'lines',
  },
  trace: {
    summary: 'Show all messages of one correlation id, causes before effects',
    positionals: { correlationId: { summary: 'Correlation id' } },
    options: { contracts, transport },
    examples: [
      [
        'treaty trace 5d976e66-8c32-483f-a9d1-8feaade0e1e0',
        'what led to what, and where it stands',
      ],
    ],
  },
  'dead list': {
    summary: 'List dead letters, the oldest first',
    options: {
      consumer: deadConsumer,
      event: { kind: 'text', value: 'E', summary: 'Only dead letters of this event' },
      reason: { kind: 'text', value: 'CODE', summary: 'Only this reason' },
      limit: { kind: 'integer', value: 'N', min: 1, max: 1000, summary: 'At most N. Default 50' },
      cursor: {
        kind: 'text',
        value: 'CURSOR',
        summary: 'Go on after the page that gave this cursor',
      },
      contracts,
      transport,
    },
    examples: [['treaty dead list --consumer billing', 'what billing could not handle']],
  },
  'dead show': {
    summary: 'Show one dead letter: its message, why it died, and where',
    positionals: { id: { summary: 'Id of the dead letter' } },
    options: { consumer: deadConsumer, contracts, transport },
    examples: [['treaty dead show ID', 'with the bytes that died']],
  },
  'dead replay': {
    summary: 'Hand a dead letter to its consumer again, under the same id',
    positionals: { id: { summary: 'Id of the dead letter' } },
    options: { consumer: deadConsumer, contracts, transport },
    examples: [['treaty dead replay ID', 'after its cause is mended']],
  },
  'dead discard': {
    summary: 'Delete a dead letter for good',
    positionals: { id: { summary: 'Id of the dead letter' } },
    options: { consumer: deadConsumer, contracts, transport },
    examples: [['treaty dead discard ID', 'it cannot be had back']],
  },
  ...webhookRows,
  ...brokerRows,
  stats: {
    summary: 'Show the ledger: what was published, handled, retried, dead, waiting',
    options: { contracts, transport },
    examples: [['treaty stats', 'by event and consumer']],
  },
  'connector list': {
    summary: 'List the connectors of the configuration and what they can be asked',
    examples: [['treaty connector list', 'connectors, their operations and where they go']],
  },
  'connector call': {
    summary: 'Call one operation of a connector',
    description:
      'Request and answer are validated against the OpenAPI contract; credential, retries and limits are those of the configuration.',
    positionals: {
      connector: { summary: 'Name in connectors' },
      operation: { summary: 'operationId, or method and path' },
    },
    options: {
      param: {
        kind: 'list',
        value: 'NAME=VALUE',
        summary: 'A parameter of path, query or header; repeatable',
      },
      data: { kind: 'text', value: 'JSON|@FILE|-', summary: 'The body' },
      idempotencyKey: {
        kind: 'text',
        value: 'KEY',
        summary: 'Sent with every attempt, so that any operation may be retried',
      },
      all: { kind: 'flag', summary: 'The items of all pages, where paginate is set for it' },
      record: {
        kind: 'text',
        value: 'FILE',
        summary: 'Add the exchange to a recording, without secrets; for tests',
      },
      replay: {
        kind: 'text',
        value: 'FILE',
        summary: 'Answer from a recording; nothing is sent',
      },
    },
    examples: [
      ['treaty connector call shop getOrder --param id=4711', 'one call, the answer as JSON'],
      ['treaty connector call shop listOrders --all', 'page after page, the items as JSON'],
      [
        'treaty connector call shop getOrder --param id=4711 --record shop.jsonl',
        'the same, noted for tests',
      ],
    ],
  },
  'connector queue': {
    summary: 'Show or send the calls that wait for a neighbour to come back',
    description:
      'Calls are kept where the connector has fallback: { queue: store }. They are sent in order; what the neighbour refuses for good is put aside.',
    positionals: { connector: { summary: 'Name in connectors' } },
    options: {
      send: { kind: 'flag', summary: 'Send them now, also those that are to wait longer' },
      replay: { kind: 'text', value: 'ID', summary: 'Let a call that was put aside wait again' },
      discard: { kind: 'text', value: 'ID', summary: 'Forget a call that was put aside' },
    },
    examples: [
      ['treaty connector queue shop', 'what waits, since when, and why'],
      ['treaty connector queue shop --send', 'once the neighbour is back'],
    ],
  },
  'connector status': {
    summary: 'Ask whether the neighbours of the configuration answer',
    positionals: { connector: { summary: 'Name in connectors. Default: all', optional: true } },
    examples: [
      ['treaty connector status', 'who answers, how fast, and whether the credential is taken'],
    ],
  },
  'store backup': {
    summary: 'Copy the store to a file while others go on using it',
    positionals: { file: { summary: 'File to write; must not exist yet' } },
    options: { store, transport },
    examples: [['treaty store backup treaty-backup.db', 'a consistent snapshot']],
  },
  'store migrate': {
    summary: 'Bring the tables of store and broker to the newest version',
    description:
      'Opening them does it too; this is for a database on which only one user may create tables. Forward only, and safe while other processes start.',
    options: {
      store,
      transport,
      outbox: {
        kind: 'text',
        value: 'URL',
        summary: 'Also the outbox in this database; default: outbox.url of the configuration',
      },
      dryRun: { kind: 'flag', summary: 'Only say what would be done' },
    },
    examples: [
      ['treaty store migrate --store postgres://treaty@localhost/orders', 'before the first start'],
      ['treaty store migrate --dry-run', 'the versions that are there, and that would be'],
    ],
  },
  doctor: {
    summary: 'Look for what is wrong around this project, and say how to mend it',
    options: { contracts, transport, store },
    examples: [['treaty doctor', 'exit 3 when something failed']],
  },
  explain: {
    summary: 'Print the long text of an error code',
    positionals: {
      code: {
        summary: 'Code, as findings and errors carry it. Default: a list of all',
        optional: true,
      },
    },
    examples: [['treaty explain SCHEMA_MISMATCH', 'what it means and what to do']],
  },
} as const satisfies Record<string, CommandSpec>

export type CommandTable = typeof commandTable
export type CommandName = keyof CommandTable

/** The names under headings, in the order in which help shows them. */
export const commandGroups: readonly (readonly [title: string, names: readonly CommandName[]])[] = [
  ['Begin and run', ['init', 'dev', 'start', 'serve', 'doctor']],
  ['Contracts', ['check', 'contract show', 'contract docs', 'gen', 'validate']],
  ['Change and release', ['compat', 'gate', 'review', 'can-i-deploy', 'migration']],
  ['Registry', ['contract push', 'deployment record', 'deployment end']],
  ['Exchange', ['export asyncapi', 'import asyncapi', 'import jsonschema', 'import confluent']],
  ['Messages', ['publish', 'consume', 'tail', 'trace', 'stats']],
  ['Broker', ['topology plan', 'topology apply', 'topology verify', 'lag', 'bench']],
  ['Outbox', ['outbox relay', 'outbox status', 'outbox parked', 'outbox retry', 'outbox discard']],
  ['Dead letters', ['dead list', 'dead show', 'dead replay', 'dead discard']],
  [
    'Webhooks',
    [
      'webhook listen',
      'webhook send',
      'webhook sign',
      'webhook verify',
      'webhook endpoint',
      'webhook attempt',
      'webhook recover',
    ],
  ],
  ['Connectors', ['connector list', 'connector call', 'connector status', 'connector queue']],
  ['Store and errors', ['store backup', 'store migrate', 'explain']],
]

/** The flag of an option: `idleExit` is `--idle-exit`. */
export function flagOf(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

/** The spec of a command, widened. */
export function specOf(name: CommandName): CommandSpec {
  return commandTable[name]
}

/** Options that every command takes, as help and documentation show them. */
export const globalOptions = {
  json: { kind: 'flag', summary: 'Print JSON: one object, or one a line' },
  config: {
    kind: 'text',
    value: 'FILE',
    summary: 'Configuration file. Default treaty.config.yaml or treaty.config.ts',
  },
  cwd: { kind: 'text', value: 'DIR', summary: 'Work as if started in DIR' },
  quiet: { kind: 'flag', summary: 'No notes on standard error' },
  verbose: { kind: 'flag', summary: 'Stack traces and causes' },
  noColor: { kind: 'flag', summary: 'No colours' },
  noInput: { kind: 'flag', summary: 'Never ask' },
  timeout: { kind: 'duration', value: 'DURATION', summary: 'Give up after so long' },
  help: { kind: 'flag', summary: 'Show help' },
  version: { kind: 'flag', summary: 'Show the version' },
} as const satisfies Record<string, OptionSpec>
