import { expect, it } from 'vitest'
import { createGathering } from './gathering.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

it('lets one that is alone go after a turn', async () => {
  const gather = createGathering()
  let isGone = false
  void gather().then(() => {
    isGone = true
  })

  expect(isGone).toBe(false)
  await turn()
  expect(isGone).toBe(true)
})

it('lets those that come turn after turn go together', async () => {
  const gather = createGathering()
  const gone: number[] = []
  for (let n = 0; n < 4; n += 1) {
    void gather().then(() => gone.push(n))
    await turn()
  }
  await turn()
  await turn()

  expect(gone).toEqual([0, 1, 2, 3])
})

it('keeps nobody for long, however many come', async () => {
  const gather = createGathering()
  let isGone = false
  void gather().then(() => {
    isGone = true
  })
  for (let n = 0; n < 20; n += 1) {
    void gather()
    await turn()
  }

  expect(isGone).toBe(true)
})
