/** Configuration as others see it: its type, and the function that gives it to editors. */
export type { Config } from './define-config.ts'
export { defineConfig } from './define-config.ts'
