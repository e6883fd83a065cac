/** Works that one transaction takes at most: few enough that readers beside it wait for milliseconds. */
const worksMax = 500

interface Waiting {
  readonly work: () => unknown
  resolve(value: unknown): void
  reject(error: unknown): void
}

export interface GroupCommit {
  /** Runs `work` in a transaction of its own, or as a part of one with the others of this turn. */
  write<T>(work: () => T): Promise<T>
  /** Starts what is waiting now instead of at the end of the turn. */
  flush(): void
}

/**
 * One commit for all writes of an event-loop turn: a commit costs a sync of the disk, and a server at work has
 * dozens of writers in each turn. The first write of a turn runs at once, so that a lone writer waits for nobody, unless
 * the turn before had several; the rest wait for the end of the turn. Order is kept. A work that throws undoes itself alone.
 *
 * @param commit Runs everything in one transaction, as a whole again where the lock was busy.
 * @param part Runs one work within it, undone alone when it throws.
 */
export function createGroupCommit(
  commit: (work: () => void) => Promise<void>,
  part: <T>(work: () => T) => T,
): GroupCommit {
  const waiting: Waiting[] = []
  let isBusy = false
  let isTurnUsed = false
  /** Writes of this turn so far, and whether the one before had several. */
  let writes = 0
  let isCrowded = false

  async function run(batch: readonly Waiting[]): Promise<void> {
    isBusy = true
    let outcomes: (() => void)[] = []
    try {
      await commit(() => {
        outcomes = []
        for (const item of batch) outcomes.push(outcomeOf(item, batch.length, part))
      })
    } catch (error) {
      outcomes = batch.map(
        ({ reject }) =>
          () =>
            reject(error),
      )
    }
    isBusy = false
    if (waiting.length > 0) flush()
    for (const settle of outcomes) settle()
  }

  function flush(): void {
    if (isBusy || waiting.length === 0) return
    const batch = waiting.splice(0, worksMax)
    void run(batch)
  }

  function endOfTurn(): void {
    isTurnUsed = false
    isCrowded = writes > 1
    writes = 0
    flush()
  }

  return {
    flush,
    write<T>(work: () => T): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        waiting.push({ work, resolve: resolve as (value: unknown) => void, reject })
        writes += 1
        if (isTurnUsed) return
        isTurnUsed = true
        setImmediate(endOfTurn)
        if (!isCrowded) flush()
      })
    },
  }
}

/** What becomes of one work once the whole is committed. Alone it needs no savepoint: its throw undoes the whole. */
function outcomeOf(
  { work, resolve, reject }: Waiting,
  size: number,
  part: <T>(work: () => T) => T,
): () => void {
  if (size === 1) {
    const value = work()
    return () => resolve(value)
  }
  try {
    const value = part(work)
    return () => resolve(value)
  } catch (error) {
    return () => reject(error)
  }
}
