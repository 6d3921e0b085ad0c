# Cures for the SLURM executor, in the process that submits; the Snakemakes inside SLURM jobs do not need them. Without
# SLURM they are idle.

if workflow.is_main_process:
    from workflow_scripts.slurm_guard import install

    install(config["scale"])
