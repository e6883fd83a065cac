import type { CommandSpec, OptionSpec } from './command.ts'
import { contracts, transport } from './command-options.ts'

const outbox = {
  kind: 'text',
  value: 'URL',
  summary:
    'Database of the outbox: postgres://… or sqlite:FILE. Default: outbox.url of the configuration, else that of the transport',
} as const satisfies OptionSpec

/** Commands about the broker itself: its topology, how far consumers are, how fast it is, and the outbox before it. */
export const brokerRows = {
  'topology plan': {
    summary: 'Show what the contracts need on the broker, and what is there',
    description:
      'Changes nothing. + is missing, ~ is other than needed, - is there and needed by no contract of these any more. Exit 3 when there is a difference.',
    options: { contracts, transport },
    examples: [['treaty topology plan --transport kafka://localhost:9092', 'before a release']],
  },
  'topology apply': {
    summary: 'Make what the contracts need on the broker',
    description:
      'Adds and mends; what nobody needs any more stays unless --allow-delete is given, and with it goes what waits there. Exit 3 when something is left that breaks a promise.',
    options: {
      contracts,
      transport,
      allowDelete: {
        kind: 'flag',
        summary: 'Also take away groups and channels that these contracts have no more',
      },
      dryRun: { kind: 'flag', summary: 'Only say what would be done, as plan does' },
    },
    examples: [
      ['treaty topology apply', 'channels, groups and dead letters, before the first start'],
    ],
  },
  'topology verify': {
    summary: 'Say whether the broker keeps every promise of the contracts',
    description:
      'Exit 3 with a finding for each promise that would break; what is there beside it is no finding.',
    options: { contracts, transport },
    examples: [['treaty topology verify --json', 'in a pipeline, before the processes start']],
  },
  lag: {
    summary: 'Show how far each consumer is: ready, in flight, delayed, blocked, the oldest',
    options: {
      watch: { kind: 'flag', summary: 'Look again and again, until Ctrl-C' },
      every: { kind: 'duration', value: 'DURATION', summary: 'Pause of --watch. Default 2s' },
      consumer: { kind: 'text', value: 'NAME', summary: 'Only this consumer' },
      contracts,
      transport,
    },
    examples: [
      ['treaty lag', 'one look'],
      ['treaty lag --watch', 'until Ctrl-C'],
    ],
    stream: 'lines',
    streamsWith: 'watch',
  },
  bench: {
    summary: 'Measure a broker through a contract of its own: latency and throughput',
    description:
      'Publishes and consumes under a name that nobody else uses, both ends validated, and takes it away again as far as the broker allows. What others do on the broker at the same time is measured with it.',
    positionals: { url: { summary: 'URL of the broker. Default: the transport', optional: true } },
    options: {
      seconds: {
        kind: 'integer',
        value: 'N',
        min: 1,
        max: 600,
        summary: 'Length of each of the measurements. Default 5',
      },
      size: {
        kind: 'integer',
        value: 'BYTES',
        min: 1,
        max: 1_000_000,
        summary: 'Size of the data of one message. Default 500',
      },
      keys: {
        kind: 'integer',
        value: 'N',
        min: 0,
        max: 1_000_000,
        summary: 'Keys in use; 0: messages without a key. Default 100',
      },
      transport,
    },
    examples: [
      ['treaty bench nats://localhost:4222 --seconds 10', 'the distribution of latencies'],
      ['treaty bench sqlite:/tmp/bench.db --json', 'as data'],
    ],
    stream: 'lines',
  },
  'outbox relay': {
    summary: 'Send what an outbox holds, until stopped',
    description:
      'Any number of relays may run: each shard has one at a time, and another takes over when it ends.',
    options: {
      outbox,
      failures: {
        kind: 'integer',
        value: 'N',
        min: 1,
        summary: 'Failures of one message after which it is parked. Default 10',
      },
      block: { kind: 'flag', summary: 'A parked message holds its key back' },
      idleExit: {
        kind: 'duration',
        value: 'MS',
        summary: 'End when the outbox has been empty for so long',
      },
      contracts,
      transport,
    },
    examples: [
      [
        'treaty outbox relay --outbox postgres://app@localhost/shop --transport kafka://localhost:9092',
        'beside an application that only writes',
      ],
    ],
    stream: 'lines',
  },
  'outbox status': {
    summary: 'Show what waits in an outbox, and for how long',
    description: 'Exit 3 when messages are parked.',
    options: { outbox, transport },
    examples: [['treaty outbox status --outbox sqlite:app.db', 'backlog, oldest, parked']],
  },
  'outbox parked': {
    summary: 'List the messages that the broker refused too often',
    options: {
      outbox,
      limit: { kind: 'integer', value: 'N', min: 1, max: 1000, summary: 'At most N. Default 50' },
      cursor: {
        kind: 'text',
        value: 'CURSOR',
        summary: 'Go on after the page that gave this cursor',
      },
      transport,
    },
    examples: [['treaty outbox parked --outbox sqlite:app.db', 'which, and why']],
  },
  'outbox retry': {
    summary: 'Let the relay try a parked message again',
    positionals: { id: { summary: 'Id of the row, as treaty outbox parked shows it' } },
    options: { outbox, transport },
    examples: [['treaty outbox retry 17 --outbox sqlite:app.db', 'after its cause is mended']],
  },
  'outbox discard': {
    summary: 'Delete a parked message for good',
    positionals: { id: { summary: 'Id of the row, as treaty outbox parked shows it' } },
    options: { outbox, transport },
    examples: [['treaty outbox discard 17 --outbox sqlite:app.db', 'it cannot be had back']],
  },
} as const satisfies Record<string, CommandSpec>
