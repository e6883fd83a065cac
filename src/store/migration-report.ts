/** Where the tables of one part of Treaty (`store`, `broker`) were, and are. 0: there were none. */
export interface MigrationReport {
  readonly component: string
  readonly from: number
  readonly to: number
}
