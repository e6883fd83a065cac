import type { EntryState, LaneLetter, LaneWrite } from '../../lanes/driver.ts'
import type { GroupTopology } from '../../transport.ts'
import { type LetterRow, letterArguments, letterIdOf, rowOf } from './letters.ts'
import type { Argument } from './resp.ts'

/** The lists that a turn takes after its first arguments, for what the core wants to be durable. */
export function changeOf(
  write: LaneWrite,
  at: { readonly group: GroupTopology; readonly address: string; readonly number: number },
): Argument[] {
  const ended: Argument[] = []
  const kept: Argument[] = []
  const done: Argument[] = []
  const counts = new Map<string, [counter: string, event: string, amount: number]>()
  const letters: LetterRow[] = []
  const count = (counter: string, event: string) => {
    const row = counts.get(`${counter} ${event}`)
    if (row === undefined) counts.set(`${counter} ${event}`, [counter, event, 1])
    else row[2] += 1
  }
  const keep = (letter: LaneLetter | undefined, entry: string, counted: 'dead' | 'expired') => {
    if (letter === undefined) return
    const place = { lane: at.number, entry }
    const id = letterIdOf({ address: at.address, group: at.group.name, ...place })
    letters.push(
      rowOf({ ...letter, id }, { ...place, counted, retentionMs: at.group.deadLetter.retentionMs }),
    )
  }
  for (const { entry, as, letter } of write.ended) {
    ended.push(entry.id)
    if (as === 'discarded') done.push(entry.id)
    else if (as !== 'foreign') count(as, entry.record.type)
    keep(letter, entry.id, as === 'expired' ? 'expired' : 'dead')
  }
  for (const { entry, state, why, letter } of write.kept) {
    kept.push(entry.id, JSON.stringify(state satisfies EntryState))
    if (why === 'retried') count('retried', entry.record.type)
    if (why === 'blocked') count('dead', entry.record.type)
    if (why === 'unblocked') done.push(entry.id)
    keep(letter, entry.id, 'dead')
  }
  return [
    ended.length,
    ...ended,
    kept.length / 2,
    ...kept,
    done.length,
    ...done,
    counts.size,
    ...[...counts.values()].flat(),
    letters.length,
    ...letters.flatMap((row) => letterArguments(row)),
  ]
}
