/** What became of each behaviour, transport by transport. */
export type Run = Readonly<Record<string, TransportRun>>
export interface TransportRun {
  /** The day of the run. */
  readonly date: string
  /** Number of the behaviour → what it states, and how it ended. */
  readonly behaviours: Readonly<Record<string, Outcome>>
  /** Tests of the same transport that are no behaviours of the suite, in its own files: what they state → how they ended. */
  readonly further?: Readonly<Record<string, 'passed' | 'failed'>>
}
export interface Outcome {
  readonly statement: string
  readonly status: 'passed' | 'skipped' | 'failed'
}

interface VitestReport {
  readonly startTime: number
  readonly testResults: readonly {
    /** The file. */
    readonly name?: string
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[]
      readonly title: string
      readonly status: string
    }[]
  }[]
}

type Mutable = {
  date: string
  behaviours: Record<string, Outcome>
  further: Record<string, 'passed' | 'failed'>
}

/** The outcomes in a JSON report of vitest. */
export function readRun(text: string): Run {
  const report = JSON.parse(text) as VitestReport
  const date = new Date(report.startTime).toISOString().slice(0, 10)
  const run: Record<string, Mutable> = {}
  const of = (name: string): Mutable => {
    run[name] ??= { date, behaviours: {}, further: {} }
    return run[name]
  }
  for (const { name: file = '', assertionResults } of report.testResults) {
    const owner = /transport\.(\w+)(?:-\w+)*\.test\.ts$/.exec(file)?.[1]
    for (const { ancestorTitles, title, status } of assertionResults) {
      // Some describe it in parts: “kafka, with members that die, keeps the transport contract”.
      const suite = /^(\w+)(,.*)? keeps the transport contract$/.exec(ancestorTitles.at(-1) ?? '')
      const [, number = '', statement = ''] = /^(\d+) (.*)$/s.exec(title) ?? []
      if (suite?.[1] !== undefined && number !== '') {
        const { behaviours } = of(suite[1])
        behaviours[number] = worseOf(behaviours[number], { statement, status: statusOf(status) })
      } else if (owner !== undefined && (status === 'passed' || status === 'failed')) {
        of(owner).further[[...ancestorTitles, title].join(' › ')] = status
      }
    }
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

/**
 * The newer run of each transport that it has; the others as they were. What was tried again alone (`vitest -t`, where all others
 * count as skipped) replaces what it tried, and nothing else.
 */
export function mergeRuns(before: Run, after: Run): Run {
  const merged: Record<string, TransportRun> = { ...before }
  for (const [name, run] of Object.entries(after)) {
    const kept = before[name]
    merged[name] =
      kept === undefined || triedOf(run) * 2 >= triedOf(kept) ? run : patched(kept, run)
  }
  return merged
}

function triedOf({ behaviours }: TransportRun): number {
  return Object.values(behaviours).filter(({ status }) => status !== 'skipped').length
}

function patched(kept: TransportRun, run: TransportRun): TransportRun {
  const tried = Object.entries(run.behaviours).filter(([, { status }]) => status !== 'skipped')
  return {
    ...kept,
    behaviours: { ...kept.behaviours, ...Object.fromEntries(tried) },
    further: { ...kept.further, ...run.further },
  }
}
