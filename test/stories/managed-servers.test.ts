// Servers that die, drain and slow down, with a manager in front of those of each region.

import t from 'tap';
import { tellFaultStories } from '../rig/fault-stories.ts';
import { startFleet } from '../rig/fleet.ts';
import { deployManaged } from '../rig/managed.ts';

// Two regions instead of three: each has one more process here.
const fleet = await startFleet(t, { regions: ['eu', 'us'] });

tellFaultStories(t, { fleet, deploy: deployManaged }, ['F1', 'F2', 'F5']);
