/** What the files of a new project need to know. */
export interface TemplateValues {
  readonly name: string
  /** Version of the package. */
  readonly version: string
  /** `ts`, or `mts` where the project's package.json does not say `"type": "module"`. */
  readonly extension: 'ts' | 'mts'
}

/** A file of a new project: its path and its text. */
export type TemplateFile = readonly [path: string, text: string]

/** The sample project: one contract, one consumer, and a feed that publishes an order every two seconds. */
export function projectFiles(values: TemplateValues): readonly TemplateFile[] {
  const { extension } = values
  return [
    ['contracts/shop.orders.yaml', contract],
    ['contracts/order.placed.schema.json', `${JSON.stringify(orderSchema, null, 2)}\n`],
    [
      'contracts/examples/order.placed/two-books.json',
      `${JSON.stringify(orderExample, null, 2)}\n`,
    ],
    [`src/handlers.${extension}`, handlers],
    [`src/samples.${extension}`, samples],
    ['treaty.config.yaml', configOf(values)],
    ['docs/orders-design.md', design],
    ['tsconfig.json', `${JSON.stringify(tsconfig, null, 2)}\n`],
    ['README.md', readmeOf(values)],
  ]
}

export const gitignoreLines = ['node_modules/', '*.db', '*.db-wal', '*.db-shm'] as const

/** What package.json gets, where it does not say otherwise. */
export function packageOf({ name, version }: Pick<TemplateValues, 'name' | 'version'>) {
  return {
    name,
    version: '0.1.0',
    private: true,
    type: 'module',
    engines: { node: '>=24' },
    scripts: {
      dev: 'treaty dev',
      start: 'treaty start',
      check: 'treaty check',
      gen: 'treaty gen',
    },
    dependencies: { treatyjs: `^${version}` },
    devDependencies: { '@types/node': '^24' },
  }
}

const contract = `# yaml-language-server: $schema=../node_modules/treatyjs/contracts/treaty.schema.json
treaty: 1
id: shop.orders
version: 1.0.0
status: active
purpose: Tells every service that an order was placed.
design: ../docs/orders-design.md
owner: { team: orders, contact: orders@example.com }
pattern: pub-sub
envelope: treaty

channels:
  orders: { address: shop.orders, key: orderId, ordering: per-key, retention: 1d }

events:
  order.placed:
    channel: orders
    purpose: Sent when a checkout has been paid, so that billing can start.
    schema: ./order.placed.schema.json
    examples: ./examples/order.placed/*.json

evolution: { policy: evolvable, mode: full-transitive }

producers:
  order-service: { onInvalid: reject }

consumers:
  billing:
    accepts: ^1.0.0
    since: 1.0.0
    events: { order.placed: { needs: [orderId, total.amount], handling: Creates one invoice per order. } }
    idempotency: { key: id, window: 30d }
    retry: { attempts: 5, base: 1s, factor: 2, cap: 1m, jitter: full }
    deadLetter: { address: shop.orders.billing.dlq, retention: 30d, owner: billing, onDead: next }

sla:
  delivery: at-least-once
  latency: { percentile: 99, within: 5s }

gate:
  block: [breaking-change, consumer-impact, invalid-example]
`

const design = `# Orders

An order is placed once its checkout has been paid. Billing must not ask the shop for anything: the event carries what an
invoice needs. Orders of one customer may be invoiced in any order; the messages of one order stay in order.

- Producer: order-service, which refuses to send what does not fit the schema.
- Consumer: billing, which creates one invoice per order, also when a message comes twice.
- On failure: five attempts within about a minute, then a dead letter that billing looks at.
`

const orderSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'OrderPlaced',
  type: 'object',
  additionalProperties: false,
  required: ['orderId', 'total'],
  properties: {
    orderId: { type: 'string', minLength: 1, maxLength: 64 },
    total: {
      type: 'object',
      additionalProperties: false,
      required: ['amount', 'currency'],
      properties: {
        amount: {
          description: 'In the smallest unit of the currency.',
          type: 'integer',
          minimum: 0,
        },
        currency: { type: 'string', pattern: '^[A-Z]{3}$' },
      },
    },
    note: { type: 'string', maxLength: 200 },
  },
} as const

const orderExample = {
  orderId: 'o-1001',
  total: { amount: 4980, currency: 'EUR' },
  note: 'Two books.',
}

const handlers = `import type { Handler } from 'treatyjs'
import type { Contracts } from '../treaty.gen.js'

type OrderPlaced = Contracts['events']['order.placed']

/** Creates one invoice per order. What is thrown here is tried again, as the contract says. */
const invoice: Handler<OrderPlaced> = (message, context) => {
  const { orderId, total } = message.data
  console.log(\`invoice for \${orderId}: \${(total.amount / 100).toFixed(2)} \${total.currency} (attempt \${context.attempt})\`)
}

/** Consumer → event → handler. treaty dev and treaty start run them. */
export const handlers = { billing: { 'order.placed': invoice } }
`

const samples = `import { setTimeout as sleep } from 'node:timers/promises'
import type { Bus } from 'treatyjs'
import type { Contracts } from '../treaty.gen.js'

/** Publishes an order every two seconds. Replace it by what really places orders. */
export async function run({ bus, signal }: { bus: Bus<Contracts>; signal: AbortSignal }): Promise<void> {
  while (!signal.aborted) {
    const orderId = \`o-\${Date.now().toString(36)}\`
    const amount = 100 + Math.floor(Math.random() * 9900)
    await bus.publish('order.placed', { orderId, total: { amount, currency: 'EUR' } })
    await sleep(2000, undefined, { signal }).catch(() => undefined)
  }
}
`

const tsconfig = {
  compilerOptions: {
    target: 'ES2024',
    module: 'NodeNext',
    strict: true,
    noEmit: true,
    types: ['node'],
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
    skipLibCheck: true,
  },
  include: ['src', 'treaty.gen.d.ts'],
} as const

function configOf({ extension }: TemplateValues): string {
  return `# Flags and TREATY_ variables override what is here: treaty dev --help
contracts: ./contracts
transport: sqlite:./treaty.db

# Modules whose exports are handlers by consumer.
handlers: ./src/handlers.${extension}

# Where messages come from while you develop.
feeds:
  samples: { module: ./src/samples.${extension}, as: order-service }

# What treaty dev prints of an event.
show:
  order.placed: '{orderId}'
`
}

function readmeOf({ name, extension }: TemplateValues): string {
  return `# ${name}

\`contracts/shop.orders.yaml\` says what the systems have agreed. \`src/handlers.${extension}\` receives what it promises, validated.

\`\`\`sh
npm install
npx treaty dev        # runs it, reloading; a sample order every two seconds
npx treaty check      # every mistake in the contracts, with its place
npx treaty gen        # types for the contracts, in treaty.gen.d.ts
\`\`\`

Try it:

\`\`\`sh
npx treaty publish order.placed --data '{"orderId":"o-1","total":{"amount":1990,"currency":"EUR"}}'
npx treaty publish order.placed --data '{"orderId":"o-1"}'     # refused, with the place
npx treaty stats
npx treaty dead list
\`\`\`
`
}
