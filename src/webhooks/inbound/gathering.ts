/** Turns of the event loop that a delivery waits for company at most. */
const turnsMax = 16
/** As many as one commit is worth. */
const enough = 64

/**
 * Lets deliveries that come at about the same time go on together, so that they share a commit: each waits until a turn of
 * the event loop brings nobody new. Alone it waits for one turn, which takes microseconds.
 */
export function createGathering(): () => Promise<void> {
  let waiting: (() => void)[] = []
  let newcomers = 0
  let turns = 0

  function endOfTurn(): void {
    turns += 1
    if (newcomers > 0 && waiting.length < enough && turns < turnsMax) {
      newcomers = 0
      setImmediate(endOfTurn)
      return
    }
    const released = waiting
    waiting = []
    newcomers = 0
    turns = 0
    for (const release of released) release()
  }

  return () =>
    new Promise((resolve) => {
      waiting.push(resolve)
      newcomers += 1
      if (waiting.length === 1) {
        newcomers = 0
        setImmediate(endOfTurn)
      }
    })
}
