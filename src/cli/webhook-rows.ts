import type { CommandSpec, OptionSpec } from './command.ts'

const scheme = {
  kind: 'text',
  value: 'SCHEME',
  choices: [
    'standard-webhooks',
    'svix',
    'stripe',
    'github',
    'slack',
    'shopify',
    'twilio',
    'hubspot-v3',
    'discord',
  ],
  summary: 'How it is signed. Default standard-webhooks',
} as const satisfies OptionSpec
const secret = {
  kind: 'list',
  value: 'REF',
  summary: 'secret://env/NAME, secret://file/PATH, or the secret itself; repeatable',
} as const satisfies OptionSpec
const data = {
  kind: 'text',
  value: 'TEXT|@FILE|-',
  summary: 'The bytes of the body: text, @ and a file, or - for standard input',
} as const satisfies OptionSpec
const store = {
  kind: 'text',
  value: 'FILE|URL',
  summary: 'Where endpoints and deliveries are kept. Default: beside the embedded broker',
} as const satisfies OptionSpec
const sender = {
  kind: 'text',
  value: 'NAME',
  summary: 'Name of the sender, where a store has several. Default: default',
} as const satisfies OptionSpec
const url = {
  kind: 'text',
  value: 'URL',
  summary: 'URL that the provider calls, for schemes that sign it',
} as const satisfies OptionSpec

/** The commands around webhooks: a part of the command table. */
export const webhookRows = {
  'webhook listen': {
    summary: 'Show webhooks as they come, verify them, hand them on',
    description:
      'Takes POST on any path and keeps nothing. With --secret each signature is checked, and what does not hold is answered 401. With --forward-to the same bytes and headers go on, and the answer comes from there.',
    positionals: { port: { summary: 'Port to listen on; 0 takes a free one' } },
    options: {
      host: { kind: 'text', value: 'H', summary: 'Address to listen on. Default 127.0.0.1' },
      scheme,
      secret,
      publicUrl: url,
      forwardTo: { kind: 'text', value: 'URL', summary: 'Where each delivery is sent on' },
      max: { kind: 'integer', value: 'N', min: 1, summary: 'End after N deliveries' },
    },
    examples: [
      ['treaty webhook listen 4500', 'look at what a provider sends'],
      [
        'treaty webhook listen 4500 --scheme github --secret secret://env/HOOK --forward-to http://localhost:3000/hooks',
        'verified, then handed on',
      ],
    ],
    stream: 'lines',
  },
  'webhook send': {
    summary: 'Sign one request and send it',
    description: 'Exit 0 when the answer is 2xx, else 6. Sent once, and nothing is kept.',
    positionals: { url: { summary: 'Where to send it' } },
    options: {
      data,
      scheme,
      secret,
      id: { kind: 'text', value: 'ID', summary: 'Id of the delivery. Default: a new one' },
      contentType: { kind: 'text', value: 'TYPE', summary: 'Default application/json' },
    },
    examples: [
      [
        `treaty webhook send http://localhost:4500/hooks/psp --secret secret://env/HOOK --data '{"amount":1}'`,
        'as a provider would',
      ],
    ],
  },
  'webhook sign': {
    summary: 'Print the headers that sign a body',
    options: {
      data,
      scheme,
      secret,
      url,
      id: { kind: 'text', value: 'ID', summary: 'Id of the delivery. Default: a new one' },
      at: { kind: 'text', value: 'TIME', summary: 'Timestamp, RFC 3339. Default: now' },
    },
    examples: [
      ['treaty webhook sign --secret secret://env/HOOK --data @body.json', 'one header a line'],
    ],
  },
  'webhook verify': {
    summary: 'Say whether a signature holds, and why not',
    description: 'Exit 0 when it does, 3 when not.',
    options: {
      data,
      scheme,
      secret,
      url,
      method: { kind: 'text', value: 'METHOD', summary: 'Default POST' },
      headers: {
        kind: 'text',
        value: 'JSON|@FILE',
        summary: 'The headers: a JSON object, or a file of lines Name: value',
      },
      at: { kind: 'text', value: 'TIME', summary: 'Time of the check, RFC 3339. Default: now' },
    },
    examples: [
      [
        'treaty webhook verify --scheme github --secret secret://env/HOOK --headers @headers.txt --data @body.json',
        'a request that was refused, once more',
      ],
    ],
  },
  'webhook endpoint': {
    summary: 'List and change the endpoints that webhooks are sent to',
    description:
      'ACTION is list, show ID, add URL, update ID, enable ID, disable ID, rotate ID, verify ID or remove ID. A secret is printed by add and rotate, and by nothing else.',
    positionals: {
      action: { summary: 'What to do' },
      target: { summary: 'Id of the endpoint; for add its URL', optional: true },
    },
    options: {
      events: { kind: 'list', value: 'P,…', summary: 'Patterns of event types. Default #: all' },
      filter: {
        kind: 'text',
        value: 'CEL',
        summary: 'Only messages for which it is true: data.total > 100.0. Empty: none',
      },
      url: { kind: 'text', value: 'URL', summary: 'Another URL, for update' },
      id: { kind: 'text', value: 'ID', summary: 'Id of a new endpoint. Default: a new one' },
      algorithm: {
        kind: 'text',
        value: 'A',
        choices: ['hmac-sha256', 'ed25519'],
        summary: 'How a new endpoint is signed for. Default hmac-sha256',
      },
      order: {
        kind: 'text',
        value: 'O',
        choices: ['none', 'key', 'fifo'],
        summary: 'Order of deliveries. Default none',
      },
      throttle: { kind: 'integer', value: 'N', min: 1, summary: 'At most N deliveries a second' },
      concurrency: {
        kind: 'integer',
        value: 'N',
        min: 1,
        max: 1000,
        summary: 'Deliveries at the same time. Default 10',
      },
      description: { kind: 'text', value: 'TEXT', summary: 'For people' },
      reason: { kind: 'text', value: 'TEXT', summary: 'Why it is disabled' },
      allowPrivate: {
        kind: 'flag',
        summary: 'Take plain http, any port and addresses of this network: for development',
      },
      store,
      sender,
    },
    examples: [
      [
        'treaty webhook endpoint add https://partner.example/hooks --events order.*',
        'prints the secret, once',
      ],
      ['treaty webhook endpoint list', 'each with its state'],
    ],
  },
  'webhook attempt': {
    summary: 'Show what became of deliveries, or send one again',
    description: 'ACTION is list ENDPOINT or redeliver ENDPOINT --message ID.',
    positionals: {
      action: { summary: 'list or redeliver' },
      endpoint: { summary: 'Id of the endpoint' },
    },
    options: {
      message: { kind: 'text', value: 'ID', summary: 'Only attempts of this message' },
      limit: { kind: 'integer', value: 'N', min: 1, max: 1000, summary: 'At most N. Default 50' },
      cursor: { kind: 'text', value: 'CURSOR', summary: 'Go on after this cursor' },
      store,
      sender,
    },
    examples: [['treaty webhook attempt list ep_1', 'status, time and what was answered']],
  },
  'webhook recover': {
    summary: 'Send an endpoint everything that it has missed since then',
    positionals: { endpoint: { summary: 'Id of the endpoint' } },
    options: {
      since: { kind: 'text', value: 'TIME', summary: 'RFC 3339, or a duration ago: 24h' },
      until: { kind: 'text', value: 'TIME', summary: 'RFC 3339, or a duration ago' },
      store,
      sender,
    },
    examples: [['treaty webhook recover ep_1 --since 24h', 'after an outage of the receiver']],
  },
} as const satisfies Record<string, CommandSpec>
