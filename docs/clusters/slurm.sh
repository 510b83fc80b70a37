#!/usr/bin/env bash
# A run on the nodes of one Slurm allocation: sbatch slurm.sh. Ray starts on each, and gmsr on the first.
#SBATCH --job-name=gmsr
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --exclusive
#SBATCH --time=00:30:00
#SBATCH --output=gmsr-%j.log
set -euo pipefail

environment=${GMSR_ENVIRONMENT:-$HOME/gmsr}   # where pip install 'gmsr[ray]' went; a folder that all nodes see
topology=${GMSR_TOPOLOGY:-llm-fleet.yaml}
port=6379

# shellcheck source=/dev/null
source "$environment/bin/activate"
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)
export RAY_gcs_rpc_server_reconnect_timeout_s=3600   # nodes stay as long if the head is gone, and so do agents
export RAY_TMPDIR=${TMPDIR:-/tmp}

# One task a node: Ray comes up everywhere, the command runs on the head, and all ends with it.
srun --kill-on-bad-exit=0 ray symmetric-run \
  --address "$head:$port" --min-nodes "$SLURM_JOB_NUM_NODES" -- \
  gmsr run "$topology" --place ray --ray "$head:$port" --nodes "$SLURM_JOB_NUM_NODES" \
  --load 0.6 --pace auto --out "gmsr-$SLURM_JOB_ID"
