import type { CatalogEntry } from './entry.ts'

/** Codes of the command line and of configuration. */
export const cliCodes = {
  UNFORESEEN: {
    exitCode: 1,
    status: 500,
    retryable: false,
    meaning: 'Something happened that Treaty does not foresee: very likely a defect of ours.',
    fix: 'Run again with --verbose and report what it prints.',
  },
  USAGE: {
    exitCode: 2,
    status: 400,
    retryable: false,
    meaning: 'The command line was not understood: an unknown command, option or value.',
    fix: 'Read treaty --help, or treaty COMMAND --help.',
    example: 'treaty chekc',
  },
  CONFIG_INVALID: {
    exitCode: 2,
    status: 400,
    retryable: false,
    meaning: 'The configuration has mistakes; all of them are listed with their place.',
    fix: 'Mend the places that are named.',
  },
  SECRET_NOT_FOUND: {
    exitCode: 2,
    status: 500,
    retryable: false,
    meaning: 'A secret reference points to an environment variable or file that is not there.',
    fix: 'Set the variable, or write the file, that the reference names.',
    example: 'transport: postgres://app:secret://env/DB_PASSWORD@db/app',
  },
} as const satisfies Record<string, CatalogEntry>
