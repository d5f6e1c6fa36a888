import { takeDownRecorded } from "./index";

/** Run by the guard of LabMachines, with its KVMESH_DATA. */
void takeDownRecorded();
