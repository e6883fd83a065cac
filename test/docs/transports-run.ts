/** What became of each behaviour, transport by transport. */
export type Run = Readonly<Record<string, TransportRun>>
export interface TransportRun {
  /** The day of the run. */
  readonly date: string
  /** Number of the behaviour → what it states, and how it ended. */
  readonly behaviours: Readonly<Record<string, Outcome>>
}
export interface Outcome {
  readonly statement: string
  readonly status: 'passed' | 'skipped' | 'failed'
}

interface VitestReport {
  readonly startTime: number
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[]
      readonly title: string
      readonly status: string
    }[]
  }[]
}

/** The outcomes in a JSON report of vitest. */
export function readRun(text: string): Run {
  const report = JSON.parse(text) as VitestReport
  const date = new Date(report.startTime).toISOString().slice(0, 10)
  const run: Record<string, { date: string; behaviours: Record<string, Outcome> }> = {}
  for (const { ancestorTitles, title, status } of report.testResults.flatMap(
    (each) => each.assertionResults,
  )) {
    // Some describe it in parts: “kafka, with members that die, keeps the transport contract”.
    const name = /^(\w+)(,.*)? keeps the transport contract$/.exec(ancestorTitles.at(-1) ?? '')?.[1]
    const behaviour = /^(\d+) (.*)$/s.exec(title)
    if (name === undefined || behaviour === null) continue
    const [, number = '', statement = ''] = behaviour
    run[name] ??= { date, behaviours: {} }
    const outcome = { statement, status: statusOf(status) }
    run[name].behaviours[number] = worseOf(run[name].behaviours[number], outcome)
  }
  return run
}

/** A behaviour that was tried twice is as good as the worse of the two; one that was left out once says nothing. */
function worseOf(before: Outcome | undefined, now: Outcome): Outcome {
  if (before === undefined || before.status === 'skipped') return now
  return now.status === 'failed' ? now : before
}

function statusOf(status: string): Outcome['status'] {
  if (status === 'passed' || status === 'failed') return status
  return 'skipped'
}

export function keptRun(text: string): Run {
  return JSON.parse(text) as Run
}
