import { describe, expect, it } from 'vitest'
import { TreatyError } from '../../../core/errors.ts'
import { fakeClock } from '../../../testing/index.ts'
import { createCommitLoop, type Job } from './commit-loop.ts'
import type { Turn } from './engine.ts'
import { nextTurn } from './scene.ts'

/** A loop over a database that exists only as a list of transactions. */
function loopOver(options: {
  fails?: (items: readonly string[]) => TreatyError | Error | undefined
}) {
  const clock = fakeClock()
  const transactions: string[][] = []
  const errors: TreatyError[] = []
  let items: string[] = []
  const loop = createCommitLoop({
    clock,
    random: () => 0.5,
    busyWaitMs: 1000,
    reportError: (error) => errors.push(error),
    turn(work) {
      items = []
      work({} as Turn)
      const failure = options.fails?.(items)
      if (failure) throw failure
      transactions.push(items)
      return { wantsMore: false }
    },
  })
  const results: string[] = []
  const add = (name: string, size = 1, more: Partial<Job> = {}) =>
    loop.add({
      size,
      run: (_, index) => void items.push(size === 1 ? name : `${name}${index}`),
      done: () => void results.push(name),
      fail: (index, { code }) => void results.push(`${name}${size === 1 ? '' : index} ${code}`),
      ...more,
    })
  return { clock, loop, add, transactions, results, errors }
}
const storeError = (code: 'STORE_BUSY' | 'STORE_FULL') => new TreatyError(code, 'for the test')

describe('group commit', () => {
  it('puts what one turn of the event loop asks for into one transaction, settlements first', async () => {
    const { add, transactions, results } = loopOver({})
    add('publish 1')
    add('settle', 1, { isSettlement: true })
    add('publish 2')
    expect(results).toEqual([])

    await nextTurn()

    expect(transactions).toEqual([['settle', 'publish 1', 'publish 2']])
    expect(results).toEqual(['settle', 'publish 1', 'publish 2'])
  })

  it('spreads a large call over transactions of a bounded size and keeps its order', async () => {
    const { add, loop, transactions, results } = loopOver({})
    add('m', 5000)

    await loop.drain()

    expect(transactions.flat()).toEqual(Array.from({ length: 5000 }, (_, at) => `m${at}`))
    expect(Math.max(...transactions.map((items) => items.length))).toBeLessThanOrEqual(2000)
    expect(transactions[0]).toHaveLength(256)
    expect(results).toEqual(['m'])
  })

  it('finds the item at fault and lets the others through', async () => {
    const { add, transactions, results } = loopOver({
      fails: (items) => (items.includes('bad') ? new Error('no such column') : undefined),
    })
    for (const name of ['a', 'bad', 'c']) add(name)

    await nextTurn()
    await nextTurn()

    expect(transactions).toEqual([['a'], ['c']])
    expect(results).toEqual(['a', 'bad UNFORESEEN', 'bad', 'c'])
  })

  it('tries a locked file again, in the same order, until it is free', async () => {
    let tries = 0
    const { add, clock, transactions, results } = loopOver({
      fails() {
        tries += 1
        return tries < 5 ? storeError('STORE_BUSY') : undefined
      },
    })
    add('a')
    add('b')

    await clock.advance(900)

    expect(transactions).toEqual([['a', 'b']])
    expect(results).toEqual(['a', 'b'])
  })

  it('tells the callers when the file stays locked, and starts the wait anew for the next', async () => {
    let isLocked = true
    const { add, clock, transactions, results } = loopOver({
      fails: () => (isLocked ? storeError('STORE_BUSY') : undefined),
    })
    add('a')
    await clock.advance(1100)
    isLocked = false
    add('b')
    await clock.advance(100)

    expect(results).toEqual(['a STORE_BUSY', 'a', 'b'])
    expect(transactions).toEqual([['b']])
  })

  it('does not try item by item what no item can help', async () => {
    let tries = 0
    const { add, results } = loopOver({
      fails() {
        tries += 1
        return storeError('STORE_FULL')
      },
    })
    add('a', 2)
    add('b')

    await nextTurn()

    expect(tries).toBe(1)
    expect(results).toEqual(['a0 STORE_FULL', 'a1 STORE_FULL', 'b STORE_FULL', 'a', 'b'])
  })

  it('reports a failure that belongs to nobody, and pauses before it tries again', async () => {
    const { clock, loop, errors } = loopOver({ fails: () => storeError('STORE_FULL') })

    loop.wake()
    await nextTurn()
    loop.wake()
    await nextTurn()
    expect(errors).toHaveLength(1)
    await clock.advance(250)

    expect(errors).toHaveLength(2)
  })

  it('takes back a job that has not begun', async () => {
    const { loop, transactions, add } = loopOver({})
    const job: Job = { size: 1, run: () => undefined, done: () => undefined, fail: () => undefined }
    loop.add(job)
    add('other')

    const first = loop.remove(job)
    await nextTurn()

    expect(first).toBe(true)
    expect(loop.remove(job)).toBe(false)
    expect(transactions).toEqual([['other']])
  })

  it('fails what is queued when it is stopped, and runs nothing after', async () => {
    const { add, loop, transactions, results } = loopOver({})
    add('a')

    loop.stop(new TreatyError('BUS_CLOSED', 'closed'))
    loop.wake()
    await nextTurn()

    expect(results).toEqual(['a BUS_CLOSED', 'a'])
    expect(transactions).toEqual([])
  })
})
