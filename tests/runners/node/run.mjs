// Runs scenarios one after the other; ends with the reason at the first that fails.
import * as servers from './servers.mjs';
import * as faults from './faults.mjs';
import * as tables from './tables.mjs';
import * as processes from './processes.mjs';

const scenarios = { ...servers, ...faults, ...tables, ...processes };
for (const name of process.argv.slice(3)) {
  const scenario = scenarios[name];
  if (scenario === undefined) {
    console.error(`there is no scenario ${name}`);
    process.exit(2);
  }
  try {
    await scenario();
  } catch (error) {
    console.error(`failed: ${name}:`, error);
    process.exit(1);
  }
  console.log(`ok ${name}`);
}
