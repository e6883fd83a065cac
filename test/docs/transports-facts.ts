import type { Capabilities } from '../../src/messaging/transport.ts'

/** What the page of the transports says that no capability record does. */
export interface TransportFacts {
  readonly title: string
  /** Oldest server, and the driver. */
  readonly needs: string
  readonly driver?: string
  /** For whom it is, in one sentence. */
  readonly choose: string
  /** A URL as it is written; it is opened by the test of the page, and connects to nothing. */
  readonly url: string
  /** Options of the URL → what they say. */
  readonly options: Readonly<Record<string, string>>
}

const tls = {
  ca: 'with TLS: file of the authority that signed the certificate of the server',
  servername: 'with TLS: the name that its certificate bears',
}
const prefix =
  'put before every name that Treaty makes there, so that several installations share one server'

export const transportFacts = {
  memory: {
    title: 'memory',
    needs: 'nothing',
    choose: 'For tests: the embedded broker without a file.',
    url: 'memory:shop',
    options: {},
  },
  sqlite: {
    title: 'SQLite, embedded',
    needs: 'nothing',
    choose:
      'One machine, any number of processes, no server: every promise, and effects in the transaction of the acknowledgement.',
    url: 'sqlite:./treaty.db',
    options: {},
  },
  postgres: {
    title: 'PostgreSQL',
    needs: 'PostgreSQL 13',
    driver: '`pg` 8',
    choose:
      'You run PostgreSQL already: every promise, and effects in the same transaction as your own rows. One primary takes all writes.',
    url: 'postgres://user:password@localhost:5432/treaty?schema=treaty&poolMax=10',
    options: {
      schema: 'the schema for the tables; default `treaty`',
      poolMax: 'connections at most, 2 to 1000, beside the one that listens; default 10',
      sslmode: 'and whatever else the driver knows, goes to the driver',
    },
  },
  kafka: {
    title: 'Apache Kafka',
    needs: 'Kafka 3.1',
    driver: '`@platformatic/kafka` 2',
    choose: 'The most messages for a core, and history that stays readable; no priorities.',
    url: 'kafka://user:password@one:9092,two:9092?mechanism=SCRAM-SHA-512&replicas=3&idempotence=true&prefix=shop.',
    options: {
      mechanism: '`PLAIN` (default), `SCRAM-SHA-256` or `SCRAM-SHA-512`, for user and password',
      idempotence:
        '`false` switches the idempotent producer off, for brokers that do not permit it',
      replicas: 'copies of each topic that is made; default: what the cluster says',
      prefix,
      ...tls,
      cert: 'with TLS: file of our own certificate',
      key: 'with TLS: file of its key',
    },
  },
  nats: {
    title: 'NATS JetStream',
    needs: 'NATS 2.9, best 2.12',
    driver: '`@nats-io/transport-node` 3',
    choose: 'A small server that is quick to run; delays and duplicates are its own from 2.12 on.',
    url: 'nats://user:password@one:4222,two:4222?replicas=3&namespace=shop&verify=true',
    options: {
      token: 'a token, as `nats://TOKEN@HOST` says it too',
      creds: 'a file of credentials as `nsc` writes it',
      nkey: 'the seed of an NKey',
      replicas: 'copies of each stream, 1 to 5; default 1',
      namespace: 'first token of all names that are ours; default `treaty`',
      ca: tls.ca,
      cert: 'with TLS: file of our own certificate',
      key: 'with TLS: file of its key',
      tls_first: '`true`: TLS begins before the server has said anything',
      verify: '`false`: certificates are not checked; for a laboratory',
    },
  },
  rabbitmq: {
    title: 'RabbitMQ',
    needs: 'RabbitMQ 3.10',
    driver: '`amqplib` 2',
    choose:
      'You run RabbitMQ already: all but the past, which a queue forgets, and duplicates, which it does not know.',
    url: 'amqp://user:password@localhost:5672/vhost?queues=quorum&prefix=shop-',
    options: {
      queues: '`quorum` (default) or `classic`; classic queues have no copies',
      prefix,
      ...tls,
    },
  },
  redis: {
    title: 'Redis',
    needs: 'Redis 7, Valkey 8',
    driver: '`ioredis` 6',
    choose:
      'You run Redis already, with `appendonly yes`; what is kept has to fit into its memory.',
    url: 'redis://user:password@localhost:6379/0?prefix=shop',
    options: {
      replicas:
        'so many replicas must have a message before its publish resolves (`WAIT`); default 0',
      prefix,
      ...tls,
    },
  },
} as const satisfies Readonly<Record<string, TransportFacts>>

export type TransportName = keyof typeof transportFacts
export const transportNames = Object.keys(transportFacts) as TransportName[]

/** What a user is promised, in the order of the page. */
export const promises: readonly (readonly [keyof Capabilities, string])[] = [
  ['durable', 'survives the end of the process'],
  ['multiProcess', 'several processes use one broker'],
  ['competingConsumers', 'replicas of a consumer share the work'],
  ['fanOutGroups', 'each consumer gets every message'],
  ['orderedByKey', 'messages of a key keep their order'],
  ['orderSurvivesRetry', 'order holds through retries'],
  ['orderSurvivesDead', 'order holds through dead letters (`onDead: block`)'],
  ['nativeDelayMsMax', 'delayed publish'],
  ['priorityLevels', 'priorities'],
  ['ttl', 'expired messages are never handled'],
  ['nativeDeadLetter', 'dead letters'],
  ['deliveryCount', 'crash guard: deliveries are counted over crashes'],
  ['publishDedupWindowMs', 'an id published twice is one message'],
  ['transactions', 'effects inside the acknowledgement’s transaction'],
  ['batchPublish', 'publish in batches'],
  ['batchSettle', 'settle in batches'],
  ['releaseOnDisconnect', 'what a process held is free when it closes'],
  ['historyReplay', 'a consumer added later reads the past'],
  ['headers', 'headers'],
]

/** What a user meets where a promise is refused. */
export const refusals: Readonly<Partial<Record<keyof Capabilities, string>>> = {
  durable:
    'Everything ends with the process. Use `sqlite:FILE`, which is the same engine on a disk.',
  multiProcess: 'Another process has a bus of its own. Use `sqlite:FILE`.',
  priorityLevels:
    '`priority` is written with the message and is no error, but it overtakes only among what a consumer has read ahead. Where urgent messages must not queue behind others, give them a channel of their own.',
  publishDedupWindowMs:
    'A publish that is repeated with the same `id` is stored twice. A consumer with `idempotency: { key, window }` in its contract runs once for both; one without it runs twice.',
  transactions:
    '`context.commit` fails with `EFFECTS_UNSUPPORTED`, unless `openBus` was given `inbox: { url }` (or `outbox`): then the effect and a row that remembers the message are one transaction of your own database, and the acknowledgement follows. See [the outbox and the inbox](../guides/outbox.md).',
  historyReplay:
    'A consumer begins with what is published after its queues were made, whatever `start` says; `treaty topology verify` warns of it. Name the consumer in the contract before the first message, since every consumer that is not pending has its queues from then on.',
}
