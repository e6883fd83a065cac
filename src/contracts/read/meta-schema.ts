import type { MetaNode } from './meta-node.ts'
import { closed, mapOf, ref, text } from './meta-node.ts'

export type { MetaNode, MetaType } from './meta-node.ts'

/** Rules that a contract's `gate.block` and waivers may name. */
export const gateRules = [
  'breaking-change',
  'consumer-impact',
  'invalid-example',
  'unknown-verdict',
  'missing-error-handling',
  'missing-versioning',
  'missing-owner',
  'unreviewed',
] as const

const iso8601 =
  'P(?=[0-9T])(?:[0-9]+(?:\\.[0-9]+)?W)?(?:[0-9]+(?:\\.[0-9]+)?D)?' +
  '(?:T(?=[0-9])(?:[0-9]+(?:\\.[0-9]+)?H)?(?:[0-9]+(?:\\.[0-9]+)?M)?(?:[0-9]+(?:\\.[0-9]+)?S)?)?'

const scalars: Readonly<Record<string, MetaNode>> = {
  duration: {
    title: 'a duration such as `5s`, `200ms`, `7d` or `PT5S`',
    type: 'string',
    pattern: `^(?:[0-9]+(?:\\.[0-9]+)?(?:ms|s|min|m|h|d|w)|${iso8601})$`,
  },
  percent: {
    title: 'a percentage such as `99.9%`',
    type: ['string', 'number'],
    pattern: '^(?:100(?:\\.0+)?|[0-9]{1,2}(?:\\.[0-9]+)?)\\s?%$',
    exclusiveMinimum: 0,
    maximum: 100,
  },
  date: {
    title: 'a date such as `2027-03-31`',
    type: 'string',
    pattern: '^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])$',
  },
  version: {
    title: 'a semantic version such as `1.4.0`, quoted where YAML would read a number',
    type: 'string',
    pattern:
      '^(?:0|[1-9][0-9]*)\\.(?:0|[1-9][0-9]*)\\.(?:0|[1-9][0-9]*)(?:-[0-9A-Za-z.-]+)?(?:\\+[0-9A-Za-z.-]+)?$',
  },
  range: {
    title: 'a version range such as `^2.1.0` or `>=2 <3`',
    type: 'string',
    minLength: 1,
  },
  name: {
    title:
      'a name of letters, digits, `.`, `_`, `:`, `/` and `-`, beginning with a letter or digit',
    type: 'string',
    pattern: '^[A-Za-z0-9][A-Za-z0-9._:/-]*$',
    maxLength: 200,
  },
  path: {
    title: 'a dotted field path such as `total.amount`',
    type: 'string',
    pattern: '^[^.\\s][^\\s]*$',
  },
}

const schemas: Readonly<Record<string, MetaNode>> = {
  schema: {
    title:
      'a schema: a file (`./order.json`, `npm:package/file.json#/pointer`) or a JSON Schema in place',
    anyOf: [{ type: 'string', minLength: 1 }, { type: 'object' }, { type: 'boolean' }],
  },
  examples: {
    title: 'examples: a file or glob, or a list of files and values',
    anyOf: [{ type: 'string', minLength: 1 }, { type: 'array' }],
  },
  deprecated: closed(
    'It still works, and goes away: since when, until when, and what to use instead.',
    {
      since: ref('version', 'The contract version that deprecated it.'),
      sunset: ref('date', 'From this day on, publishing is refused.'),
      use: text('Name of what to use instead.'),
    },
    ['since'],
  ),
  owner: closed(
    'Who answers for it.',
    {
      team: text('Name of the team.'),
      contact: text('Mail address, channel or URL.'),
      oncall: text('Where to reach whoever is on call.'),
    },
    ['team'],
  ),
}

const messages: Readonly<Record<string, MetaNode>> = {
  channel: closed(
    'The agreed place where messages travel.',
    {
      address: { type: 'string', minLength: 1, description: 'Topic, subject or queue.' },
      key: ref('path', 'Path into the data; its value is the partition key. Default: no key.'),
      ordering: {
        enum: ['none', 'per-key', 'per-channel'],
        description:
          'Which messages keep their order. Default: per-key where a key is given, else none.',
      },
      retention: ref(
        'duration',
        'How long messages stay readable after they were handled. Default: for ever.',
      ),
      shared: {
        type: 'boolean',
        description: 'Another channel may use the same address.',
        default: false,
      },
      bindings: {
        type: 'object',
        description: 'Settings of one broker each: kafka, nats, rabbitmq, redis, postgres, sqlite.',
        propertyNames: {
          title: 'a broker',
          enum: ['kafka', 'nats', 'rabbitmq', 'redis', 'postgres', 'sqlite', 'memory'],
        },
        additionalProperties: { type: 'object' },
      },
    },
    ['address'],
  ),
  event: closed(
    'Tells that something has happened.',
    {
      channel: ref('name', 'Name of a channel of this contract.'),
      purpose: text('What triggers it, and why somebody wants to know.'),
      schema: ref('schema', 'JSON Schema of the data alone, not of the envelope.'),
      examples: ref('examples', 'Data that must satisfy the schema.'),
      deprecated: ref('deprecated'),
    },
    ['channel', 'purpose', 'schema'],
  ),
  command: closed(
    'Asks one handler to do something; it answers with a reply or a typed error.',
    {
      channel: ref('name', 'Name of a channel of this contract.'),
      purpose: text('What it asks for.'),
      schema: ref('schema', 'JSON Schema of the data of the command.'),
      reply: ref('schema', 'JSON Schema of the data of the reply.'),
      errors: mapOf('Typed errors: a name, and the schema of its data.', ref('schema')),
      timeout: ref('duration', 'How long the caller waits for the reply. Default 30s.'),
      handler: ref('name', 'Name of the one service that handles it.'),
      examples: ref('examples', 'Data that must satisfy the schema.'),
      deprecated: ref('deprecated'),
    },
    ['channel', 'schema', 'handler'],
  ),
}

const parties: Readonly<Record<string, MetaNode>> = {
  producer: closed('A service that publishes.', {
    onInvalid: {
      enum: ['reject', 'dead-letter'],
      description: 'What happens to data that does not satisfy the schema.',
      default: 'reject',
    },
    events: {
      type: 'array',
      items: ref('name'),
      description: 'Events and commands it may send. Default: all.',
    },
  }),
  consumer: closed(
    'A service or agent that depends on this contract.',
    {
      kind: {
        enum: ['service', 'agent'],
        description: 'A program, or an AI agent.',
        default: 'service',
      },
      owner: ref('owner'),
      accepts: ref('range', 'Contract versions that it is deployed for.'),
      since: ref('version', 'The version this entry was written against.'),
      events: mapOf('The events it listens to, and what it reads of each.', ref('consumed'), 1),
      start: {
        enum: ['earliest', 'latest'],
        description: 'Where a consumer added later begins.',
        default: 'earliest',
      },
      idempotency: closed(
        'How it tells that it has handled a message before.',
        {
          key: ref('path', 'Path into the message: `id`, or `data.orderId`.'),
          window: ref('duration', 'At least as long as its dead letters live.'),
        },
        ['key', 'window'],
      ),
      retry: ref('retry'),
      deadLetter: ref('deadLetter'),
      sla: ref('consumerSla'),
      pending: {
        type: 'boolean',
        description: 'Not deployed yet: reported, never blocks.',
        default: false,
      },
    },
    ['accepts', 'events'],
  ),
  consumed: closed('What it reads of this event.', {
    needs: {
      title: 'a list of dotted field paths, a schema file, or a JSON Schema in place',
      description: 'Fields it reads: paths into the data, or a schema that the data must satisfy.',
      anyOf: [
        { type: 'array', items: ref('path') },
        { type: 'string', minLength: 1 },
        { type: 'object' },
      ],
    },
    handling: text('What it does with it.'),
  }),
}

const policies: Readonly<Record<string, MetaNode>> = {
  retry: closed('How often and how fast a failed message is tried again.', {
    attempts: {
      type: 'integer',
      minimum: 1,
      maximum: 1000,
      description: 'Attempts, including the first.',
      default: 5,
    },
    base: ref('duration', 'Wait before the second attempt. Default 1s.'),
    factor: {
      type: 'number',
      minimum: 1,
      maximum: 100,
      description: 'Each wait is this many times the one before.',
      default: 2,
    },
    cap: ref('duration', 'Longest wait. Default 5m, or base where that is longer.'),
    jitter: {
      enum: ['full', 'none'],
      description: 'full: a random wait between nothing and the one computed.',
      default: 'full',
    },
  }),
  deadLetter: closed('What happens to a message that gave up.', {
    address: {
      type: 'string',
      minLength: 1,
      description: 'Where they are kept. Default: `<address of the channel>.<consumer>.dlq`.',
    },
    retention: ref('duration', 'How long dead letters are kept. Default 30d.'),
    owner: text('Who looks after them.'),
    onDead: {
      enum: ['next', 'block'],
      description: 'Whether later messages of the same key go on, or wait for replay or discard.',
      default: 'next',
    },
    onExpired: {
      enum: ['dead-letter', 'drop'],
      description: 'What happens to a message whose time to live has passed.',
      default: 'dead-letter',
    },
  }),
  consumerSla: closed('What this consumer promises.', {
    processing: closed('How long handling takes, by percentile.', {
      p50: ref('duration', 'Half of the messages are handled within this time.'),
      p90: ref('duration', '90 of 100 messages.'),
      p95: ref('duration', '95 of 100 messages.'),
      p99: ref('duration', '99 of 100 messages.'),
      p999: ref('duration', '999 of 1000 messages.'),
    }),
    lag: closed(
      'How far it may fall behind.',
      { max: ref('duration', 'Age of the oldest message that waits.') },
      ['max'],
    ),
  }),
  waiver: closed(
    'Lets one rule pass, with a reason, a name and an end.',
    {
      rule: { enum: gateRules, description: 'The rule that may be broken.' },
      at: text('The place it is about.'),
      reason: text('Why.'),
      approvedBy: text('The consumer or person who agreed.'),
      expires: ref('date', 'The last day on which it counts.'),
    },
    ['rule', 'reason', 'approvedBy', 'expires'],
  ),
  review: closed(
    'A consumer has read this contract. Voided by a later edit.',
    {
      consumer: ref('name', 'The consumer for which it was read.'),
      by: text('Who read it.'),
      at: ref('date', 'When it was read.'),
      digest: {
        title: 'a digest such as `sha256:…`, as `treaty contract show` prints it',
        description: 'What was read: the digest of the contract without its reviews.',
        type: 'string',
        pattern: '^sha256:[0-9a-f]{64}$',
      },
    },
    ['consumer', 'by', 'at', 'digest'],
  ),
}

const pattern: MetaNode = {
  title: 'a pattern: a style, or `{ style, timing, initiative }`',
  description:
    'How the parties talk. A style alone means asynchronous and pushed; request-reply is synchronous. Default pub-sub.',
  anyOf: [
    { enum: ['pub-sub', 'request-reply', 'fire-and-forget', 'batch', 'stream'], type: 'string' },
    closed(
      'Style, timing and initiative.',
      {
        style: {
          enum: ['pub-sub', 'request-reply', 'fire-and-forget', 'batch', 'stream'],
          description: 'Who talks to whom, and whether an answer is expected.',
        },
        timing: {
          enum: ['sync', 'async'],
          description: 'Whether the sender waits. Default async; sync for request-reply.',
        },
        initiative: {
          enum: ['push', 'pull'],
          description: 'Whether messages are brought or fetched. Default push.',
        },
      },
      ['style'],
    ),
  ],
}

const evolution = closed('Versioning strategy.', {
  policy: {
    enum: ['strict', 'evolvable', 'confluent-strict', 'confluent-lenient'],
    description:
      'Which changes of a schema are breaking. evolvable: readers take fields that they do not know; strict: schemas count as written; the others judge as the Confluent registry does.',
    default: 'evolvable',
  },
  mode: {
    enum: [
      'backward',
      'backward-transitive',
      'forward',
      'forward-transitive',
      'full',
      'full-transitive',
      'none',
    ],
    description:
      'Which histories count: backward, new readers of kept messages; forward, old readers of new messages; full, both; transitive, all earlier versions and not the last alone.',
    default: 'full-transitive',
  },
  upcast: {
    type: 'array',
    description: 'How data of older major versions is turned into data of newer ones.',
    items: closed(
      'Turns data of an older version into data of a newer one.',
      {
        event: ref('name', 'The event whose data it turns.'),
        from: ref('range', 'Versions that it reads.'),
        to: ref('range', 'Versions that it writes.'),
        jsonata: text('JSONata over the data.'),
      },
      ['event', 'from', 'to', 'jsonata'],
    ),
  },
})

const sla = closed('What the contract promises.', {
  delivery: {
    enum: ['at-most-once', 'at-least-once', 'effect-once'],
    description: 'How often a consumer gets a message; effect-once names its mechanism.',
  },
  mechanism: text('How effect-once comes about: `inbox`, `transaction`, or a sentence.'),
  latency: closed(
    'From publishing to the end of handling.',
    {
      percentile: {
        type: 'number',
        exclusiveMinimum: 0,
        maximum: 100,
        description: 'Share of the messages, in percent.',
      },
      within: ref('duration', 'The time that this share keeps to.'),
    },
    ['percentile', 'within'],
  ),
  availability: closed(
    'Share of time, or of calls, that succeeds.',
    {
      target: ref('percent', 'The share that succeeds.'),
      window: ref('duration', 'The time over which it is counted.'),
    },
    ['target', 'window'],
  ),
})

/**
 * The JSON Schema of the contract file, draft 2020-12: what editors complete with (`treaty.schema.json`) and what the
 * loader checks with, one and the same value.
 */
export const metaSchema: MetaNode & {
  readonly $schema: string
  readonly $id: string
  readonly $defs: Readonly<Record<string, MetaNode>>
} = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: 'urn:treatyjs:contract:1',
  title: 'a Treaty contract',
  description: 'What two or more systems have agreed: who produces, who consumes, which messages.',
  type: 'object',
  required: ['treaty', 'id', 'version', 'purpose', 'channels'],
  properties: {
    treaty: { const: 1, description: 'Version of this file format.' },
    id: ref('name', 'Identifies the contract, for example `shop.orders`.'),
    version: ref('version', 'Semantic version of the contract.'),
    status: {
      enum: ['draft', 'active', 'deprecated'],
      description: 'A draft may still lack producers, consumers and an owner.',
      default: 'active',
    },
    purpose: text('What the contract is for, in a sentence.'),
    design: text('The design document it came from: a path or URL.'),
    owner: ref('owner'),
    pattern,
    envelope: {
      enum: [
        'treaty',
        'integration',
        'cloudevents',
        'cloudevents-structured',
        'cloudevents-binary',
        'none',
      ],
      description: 'What wraps the data on the wire.',
      default: 'treaty',
    },
    channels: mapOf('The agreed places where messages travel.', ref('channel'), 1),
    events: mapOf('Events: what has happened.', ref('event')),
    commands: mapOf('Commands: what somebody is asked to do.', ref('command')),
    evolution,
    producers: mapOf('Services that publish.', { anyOf: [ref('producer'), { type: 'null' }] }),
    consumers: mapOf('Services and agents that depend on this contract.', ref('consumer')),
    sla,
    gate: closed('What stops a release, computed from evidence.', {
      block: {
        type: 'array',
        items: { enum: gateRules },
        description:
          'Rules that must hold. Default: breaking-change, consumer-impact, invalid-example, unknown-verdict, missing-error-handling.',
      },
      waivers: {
        type: 'array',
        items: ref('waiver'),
        description: 'Exceptions, each with a reason, a name and an end.',
      },
    }),
    reviews: {
      type: 'array',
      items: ref('review'),
      description: 'Who has read this contract, for a consumer.',
    },
  },
  additionalProperties: false,
  $defs: { ...scalars, ...schemas, ...messages, ...parties, ...policies },
}
