import { describe, expect, it } from 'vitest'
import { TreatyError } from '../core/errors.ts'
import { createGroupCommit } from './sqlite-group-commit.ts'

/** Works and commits in the order in which they happen. */
function recorded(options: { failCommit?: () => boolean } = {}) {
  const seen: string[] = []
  const group = createGroupCommit(
    async (work) => {
      work()
      if (options.failCommit?.()) throw new TreatyError('STORE_FULL', 'the disk is full')
      seen.push('commit')
    },
    (work) => work(),
  )
  const write = (name: string) =>
    group.write(() => {
      seen.push(name)
      return name
    })
  return { group, seen, write }
}

describe('writes of one turn', () => {
  it('run at once when there is only one', () => {
    const { seen, write } = recorded()

    void write('a')

    expect(seen).toEqual(['a', 'commit'])
  })

  it('share a commit behind the first, in order', async () => {
    const { seen, write } = recorded()

    const results = await Promise.all(['a', 'b', 'c', 'd'].map(write))

    expect(results).toEqual(['a', 'b', 'c', 'd'])
    expect(seen).toEqual(['a', 'commit', 'b', 'c', 'd', 'commit'])
  })

  it('all share one commit while turns have several, and run at once again when one has a single write', async () => {
    const { seen, write } = recorded()
    const turn = () => new Promise((resolve) => setImmediate(resolve))
    await Promise.all(['a', 'b'].map(write))
    await turn()
    seen.length = 0

    await Promise.all(['c', 'd', 'e'].map(write))
    expect(seen).toEqual(['c', 'd', 'e', 'commit'])
    await turn()
    await write('f')
    await turn()
    seen.length = 0
    void write('g')
    expect(seen).toEqual(['g', 'commit'])
  })

  it('are undone one by one when a work throws', async () => {
    const { group, write } = recorded()

    const results = await Promise.allSettled([
      write('a'),
      write('b'),
      group.write(() => {
        throw new Error('no')
      }),
      write('c'),
    ])

    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
    ])
  })

  it('all fail when the commit does, and the next turn works again', async () => {
    let isFull = true
    const { write } = recorded({ failCommit: () => isFull })

    const results = await Promise.allSettled([write('a'), write('b'), write('c')])
    isFull = false

    expect(results.every(({ status }) => status === 'rejected')).toBe(true)
    await expect(write('d')).resolves.toBe('d')
  })

  it('start with a flush, before the turn ends', () => {
    const { group, seen, write } = recorded()
    void write('a')
    void Promise.resolve().then(() => write('b'))

    return Promise.resolve()
      .then(() => undefined)
      .then(() => undefined)
      .then(() => undefined)
      .then(() => {
        group.flush()
        expect(seen).toEqual(['a', 'commit', 'b', 'commit'])
      })
  })
})
