import { defineContract } from '../../src/contracts/index.ts'
import { openRegistry, openSubjects } from '../../src/registry/index.ts'
import { openStore } from '../../src/store/index.ts'

/** One of many processes that all want the same version: argv holds the store's URL and a number. */
const [url = '', number = ''] = process.argv.slice(2)
const store = await openStore(url)
const registry = openRegistry(store)
const subjects = openSubjects(store)

function contract(version: string, purpose: string) {
  return defineContract({
    id: 'shop.orders',
    version,
    status: 'active',
    purpose,
    channels: { orders: { address: 'shop.orders' } },
    events: {
      'order.placed': {
        channel: 'orders',
        purpose: 'Sent when a checkout has been paid, so that billing can start.',
        schema: { type: 'object', properties: { orderId: { type: 'string' } } },
      },
    },
    producers: { 'order-service': {} },
    consumers: {
      billing: {
        accepts: '>=1',
        events: { 'order.placed': { needs: ['orderId'], handling: 'Bills it.' } },
      },
    },
  } as never)
}

const won: string[] = []
const lost: string[] = []
// All want the same ten versions, each with words of its own.
for (let minor = 0; minor < 10; minor += 1) {
  const version = `1.${minor}.0`
  try {
    const mine = contract(version, `Process ${number} says it for ${version}.`)
    await registry.register(mine, number)
    won.push(version)
  } catch (error) {
    lost.push((error as { code: string }).code)
  }
}
// All want the same version of the same subject, then one each of their own.
const schema = (title: string) => JSON.stringify({ title, type: 'object' })
const ids: number[] = []
for (const title of ['same', `own ${number}`, 'same again']) {
  const input = { schema: schema(title), schemaType: 'JSON' }
  ids.push((await subjects.register('orders-value', input, { by: number })).id)
}
await store.close()
process.stdout.write(JSON.stringify({ won, lost, ids }))
