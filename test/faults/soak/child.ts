import { setTimeout as sleep } from 'node:timers/promises'
import { isTreatyError, openBus } from '../../../src/index.ts'
import { seededRandom } from '../../../src/testing/index.ts'
import { soakContract } from './contract.ts'
import { clearDesk } from './desk.ts'
import { openJournal } from './journal.ts'
import { produce } from './producer.ts'
import { type ChildOrder, type RoleContext, stillborn } from './roles.ts'
import { work } from './worker.ts'

// A process of the soak, to be killed: `node child.ts ORDER-AS-JSON`. SIGTERM asks it to leave in good order.
const order = JSON.parse(process.argv[2] ?? '{}') as ChildOrder
const journal = openJournal(order.folder, order.name)
const end = new AbortController()
process.once('SIGTERM', () => end.abort())
// Nobody is left to end it.
process.once('disconnect', () => process.exit(1))

const problem = (error: unknown) =>
  journal.write({
    kind: 'problem',
    code: isTreatyError(error) ? error.code : 'UNKNOWN',
    text: error instanceof Error ? error.message : String(error),
  })

/** The broker may be away just now: as a supervisor would, it is tried again. */
async function connect() {
  for (;;) {
    try {
      return await openBus({
        contracts: [soakContract(order.run)],
        transport: order.url,
        service: 'shop',
        leaseMs: order.leaseMs,
      })
    } catch (error) {
      problem(error)
      if (end.signal.aborted) process.exit(0)
      await sleep(500)
    }
  }
}

const bus = await connect()
bus.onError(problem)
let isReady = false
const context: RoleContext = {
  bus,
  order,
  journal,
  random: seededRandom(order.seed),
  ended: end.signal,
  ready() {
    isReady = true
    process.send?.('ready')
  },
}
try {
  await { producer: produce, worker: work, desk: clearDesk }[order.role](context)
} catch (error) {
  // The broker went while we began: who started us starts another.
  problem(error)
  if (isReady || !isTreatyError(error)) throw error
  process.exit(stillborn)
}
await bus.close({ drainMs: 10_000 })
journal.close()
process.exit(0)
