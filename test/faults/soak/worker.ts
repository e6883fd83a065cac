import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Handler } from '../../../src/index.ts'
import type { Fate } from './contract.ts'
import { mendedFile } from './journal.ts'
import type { RoleContext, SoakTypes } from './roles.ts'

type Data = { key: string; sequence: number; fate: Fate }

/** Handles all three consumers until it is ended. */
export async function work({ bus, order, journal, random, ended, ready }: RoleContext) {
  const isMended = (consumer: string, id: string) =>
    existsSync(mendedFile(order.folder, consumer, id))

  const handler: Handler<Data, SoakTypes> = async (message, context) => {
    const { id, data } = message
    const { consumer, attempt } = context
    const begun = Date.now()
    await sleep(data.fate === 'slow' ? 300 + random() * 1200 : random() * 10)
    const isFaulty = data.fate === 'fail' || data.fate === 'die'
    if (isFaulty && !isMended(consumer, id)) {
      if (data.fate === 'die') return context.dead('it was sent to die')
      throw new Error('it was sent to fail')
    }
    if (data.fate === 'retry' && attempt <= 1 + (data.sequence % 2)) throw new Error('not yet')
    if (data.fate === 'release' && random() < 0.5) {
      return context.release({ afterMs: Math.floor(random() * 300) })
    }
    if (data.fate === 'drop') {
      journal.write({ kind: 'dropping', id, consumer })
      return context.drop()
    }
    journal.write({ kind: 'handled', id, consumer, begun })
  }

  const options = { concurrency: 8, replica: order.name }
  await bus.consume('plain', { 'parcel.moved': handler }, options)
  await bus.consume('strict', { 'parcel.moved': handler }, options)
  await bus.consume('loose', { 'weather.seen': handler }, options)
  ready()
  await new Promise((resolve) => ended.addEventListener('abort', resolve))
}
