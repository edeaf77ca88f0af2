/** A quarter of the simulator's runs; the other files have the others, so that they run side by side. */
import { testSeeds } from './simulator/seeds.ts';

testSeeds(0);
