export type { ExportAsyncApiOptions } from './export.ts'
export { asyncApiVersion, exportAsyncApi } from './export.ts'
export type { Operation } from './operations.ts'
export { applicationsOf, operationsOf } from './operations.ts'
