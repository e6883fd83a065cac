import { expect, it } from 'vitest'
import { TreatyError } from '../core/errors.ts'
import { fakeClock } from '../testing/fake-clock.ts'
import { createProblems } from './problems.ts'

const full = () =>
  new TreatyError('STORE_FULL', 'the disk is full', { hint: 'Free space on the volume.' })

it('a full disk fails a thousand times and is told once, with code and hint', async () => {
  const clock = fakeClock()
  const told: string[] = []
  const problem = createProblems(clock, (line) => told.push(line))

  for (let at = 0; at < 1000; at += 1) problem(full())
  expect(told).toEqual(['[STORE_FULL] the disk is full. Free space on the volume.'])

  await clock.advance(30_000)
  problem(full())
  problem(new TreatyError('STORE_BUSY', 'it is locked'))

  expect(told.slice(1)).toEqual([
    '[STORE_FULL] the disk is full. Free space on the volume. (1000 times since it was last said)',
    '[STORE_BUSY] it is locked',
  ])
})
