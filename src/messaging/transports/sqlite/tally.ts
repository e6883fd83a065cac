import type { SqliteFile } from '../../../store/index.ts'
import type { CountRow } from '../../transport.ts'

/**
 * The counters of one row of the ledger; `waiting` is a gauge that moves with the delivery rows.
 */
export type Counter = Exclude<keyof CountRow, 'event' | 'consumer'>

const counters = [
  'published',
  'deliveries',
  'handled',
  'skipped',
  'retried',
  'dead',
  'expired',
  'waiting',
] as const satisfies readonly Counter[]

type Deltas = Record<Counter, number>

interface Cell {
  readonly event: string
  readonly consumer: string
  deltas: Deltas
}

/**
 * The ledger: changes are gathered in memory while a transaction runs and written into it once,
 * so that a thousand messages of one event cost one row write.
 */
export interface Tally {
  /** Adds to the row of `event` and `consumer` (null: before any consumer). */
  add(event: string, consumer: string | null, counter: Counter, by: number): void
  /** Writes what was added since the last flush or discard; call it inside the transaction. */
  flush(): void
  /** Forgets what was added: the transaction was rolled back. */
  discard(): void
  /** The committed rows, in order of event and consumer. */
  read(): CountRow[]
}

function noDeltas(): Deltas {
  return {
    published: 0,
    deliveries: 0,
    handled: 0,
    skipped: 0,
    retried: 0,
    dead: 0,
    expired: 0,
    waiting: 0,
  }
}

const upsert = `
  INSERT INTO bus_count (event, consumer, ${counters.join(', ')})
  VALUES (?, ?, ${counters.map(() => '?').join(', ')})
  ON CONFLICT DO UPDATE SET ${counters.map((name) => `${name} = ${name} + excluded.${name}`).join(', ')}`

export function createTally(file: SqliteFile): Tally {
  // No consumer is called the empty string, so that it can stand for none in the primary key.
  const cells = new Map<string, Map<string, Cell>>()
  let touched: Cell[] = []

  const cellOf = (event: string, consumer: string): Cell => {
    let row = cells.get(event)
    if (row === undefined) {
      row = new Map()
      cells.set(event, row)
    }
    let cell = row.get(consumer)
    if (cell === undefined) {
      cell = { event, consumer, deltas: noDeltas() }
      row.set(consumer, cell)
      touched.push(cell)
    }
    return cell
  }
  const forget = () => {
    touched = []
    cells.clear()
  }

  return {
    add(event, consumer, counter, by) {
      cellOf(event, consumer ?? '').deltas[counter] += by
    },
    flush() {
      if (touched.length === 0) return
      const write = file.prepare(upsert)
      for (const { event, consumer, deltas } of touched) {
        write.run(event, consumer, ...counters.map((name) => deltas[name]))
      }
      forget()
    },
    discard: forget,
    read() {
      const rows = file.prepare('SELECT * FROM bus_count ORDER BY event, consumer').all()
      return rows.map((row) => ({
        event: String(row.event),
        consumer: row.consumer === '' ? null : String(row.consumer),
        ...(Object.fromEntries(counters.map((name) => [name, Number(row[name])])) as Deltas),
      }))
    },
  }
}
