# What the SLURM executor needs. Without SLURM all of it is idle.


# Steps of seconds run where Snakemake runs; as SLURM jobs they would cost more waiting than work.
localrules:
    select,
    table,
    draw_figure4,
    render_report,


# Cures for the executor plugin, in the process that submits; the Snakemakes inside SLURM jobs do not need them.
if workflow.is_main_process:
    from workflow_scripts.slurm_guard import install

    install(config["scale"])
