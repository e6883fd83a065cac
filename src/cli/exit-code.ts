/** What the process ends with. Interrupted work that had to be given up ends with 130 (SIGINT) or 143 (SIGTERM). */
export const exitCode = {
  /** Done, nothing to report. */
  ok: 0,
  /** Our defect, or something unforeseen. */
  unforeseen: 1,
  /** Wrong use, or invalid configuration. */
  usage: 2,
  /** The tool worked and found problems. */
  findings: 3,
  /** The thing named does not exist. */
  notFound: 4,
  /** Refused: conflict or policy. */
  refused: 5,
  /** A neighbour is unavailable; trying again may help. */
  unavailable: 6,
  interrupted: 130,
  terminated: 143,
} as const
