#include "cli/ranks.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/use_model.h"

#define MODULE "vocode-mpi.so"

/* Set in each process by Open MPI's mpirun, by PMIx (Slurm) and by MPICH's. */
static bool started_by_mpirun(void) {
    static const char *const variables[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        if (getenv(variables[i])) return true;
    return false;
}

/* Beside the program, in the library folder of its prefix, or where it was configured to be installed. What the module
 * needs from MPI, its parts look for among the program's symbols. It stays until the end. */
static void *open_module(const char **problem) {
    char folder[PATH_MAX], path[PATH_MAX + 256];
    static const char *const beside[] = {"", "/" VOCODE_LIB_UP "/vocode"};
    program_folder(folder);
    for (size_t i = 0; folder[0] && i < sizeof beside / sizeof *beside; i++) {
        snprintf(path, sizeof path, "%s%s/" MODULE, folder, beside[i]);
        if (access(path, F_OK) != 0) continue;
        void *module = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
        if (!module) *problem = dlerror();
        return module;
    }
    return NULL;
}

vocode_status ranks_join(train_team **out, vocode_error *error) {
    static train_team team;
    const char *problem = "this vocode was built without MPI, or its module " MODULE " is missing";
    *out = NULL;
    if (!started_by_mpirun()) return VOCODE_OK;
    void *module = open_module(&problem);
    team_join join = NULL;
    if (module) *(void **)&join = dlsym(module, TEAM_JOIN_SYMBOL); /* as POSIX has it */
    if (join) problem = join(&team);
    if (problem) return failed(error, VOCODE_UNSUPPORTED, "started by mpirun, but %s", problem);
    const char *overlap = getenv("VOCODE_OVERLAP");
    team.late = overlap && strcmp(overlap, "0") == 0;
    *out = &team;
    return VOCODE_OK;
}
