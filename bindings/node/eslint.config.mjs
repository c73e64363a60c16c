import { createRequire } from 'node:module';
import path from 'node:path';

// The linter is installed outside of the source tree.
const load = createRequire(path.join(process.env.FDFS_TOOLS, 'x.cjs'));
const js = load('@eslint/js');
const globals = load('globals');

export default [
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2024, globals: globals.node },
    linterOptions: { reportUnusedDisableDirectives: true },
    rules: {
      eqeqeq: 'error',
      'max-lines': ['error', 600],
      'max-lines-per-function': ['error', { max: 70, skipComments: true, IIFEs: true }],
      'no-console': 'off',
      'no-promise-executor-return': 'off',
      'no-shadow': 'error',
      'no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      'no-var': 'error',
      'prefer-const': 'error',
    },
  },
  { files: ['**/*.cjs'], languageOptions: { sourceType: 'commonjs' } },
  { files: ['**/lib/*.cjs'], rules: { 'no-console': 'error' } },
];
