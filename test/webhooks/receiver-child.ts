import { createServer } from 'node:http'
import { openBus } from '../../src/messaging/index.ts'
import { openStore } from '../../src/store/index.ts'
import { createReceiver, nodeHandler } from '../../src/webhooks/index.ts'
import { contract, secret } from './payments.ts'

// A receiver on a port, over files: node receiver-child.ts FOLDER PORT. Says `ready` once it listens.

const [, , folder = '', port = '0'] = process.argv
const bus = await openBus({ contracts: [contract], transport: `sqlite:${folder}/bus.db` })
const store = await openStore(`sqlite:${folder}/claims.db`)
const receiver = createReceiver({
  sources: {
    psp: {
      verify: { scheme: 'standard-webhooks', secrets: [secret] },
      event: 'payment.made',
      // A crash in the middle must not make the retry wait for long.
      dedupe: { leaseMs: 300 },
    },
  },
  bus,
  store,
})
createServer(nodeHandler(receiver)).listen(Number(port), '127.0.0.1', () => {
  process.stdout.write('ready\n')
})
