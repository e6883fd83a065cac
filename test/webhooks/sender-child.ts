import { openStore } from '../../src/store/index.ts'
import { createSender } from '../../src/webhooks/index.ts'
import { secret } from './payments.ts'

// A sender over a file: node sender-child.ts FOLDER URL send|drain. Prints each id after its commit; in `drain` it sends
// nothing and ends when nothing is left.

const [, , folder = '', url = '', mode = 'send'] = process.argv
const store = await openStore(`sqlite:${folder}/out.db`)
const sender = await createSender({
  store,
  schedule: Array.from({ length: 1000 }, () => 50),
  timeoutMs: 2000,
  leaseMs: 400,
  pollMs: 50,
  disable: { failingForMs: 86_400_000 },
  egress: { https: 'optional', privateNetworks: 'allow', ports: 'any' },
})
if ((await sender.endpoints.list()).length === 0) {
  await sender.endpoints.add({ id: 'psp', url, secret })
}
process.stdout.write('ready\n')

if (mode === 'send') {
  for (let n = 0; ; n += 1) {
    const { id } = await sender.send({ type: 'payment.made', data: n })
    process.stdout.write(`committed ${id}\n`)
    // Not faster than a slow machine can deliver.
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
let quiet = 0
while (quiet < 20) {
  await new Promise((resolve) => setTimeout(resolve, 50))
  const { isDispatching, waiting, atWork } = sender.stats()
  quiet = isDispatching && waiting === 0 && atWork === 0 ? quiet + 1 : 0
}
await sender.close()
await store.close()
