// x -> Relu, whose result nobody reads  =>  x
#include "fusion/passes.h"

namespace xdn::fusion {

int eliminate_dead(Graph& graph) { return static_cast<int>(graph.eliminate_dead()); }

}  // namespace xdn::fusion
